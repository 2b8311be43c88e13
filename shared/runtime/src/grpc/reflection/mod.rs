//! What a server says about itself: reflection v1 and v1alpha, and the list of its methods for the
//! edge. Must only speak of services that are served here.

mod answering;

use std::sync::Arc;

use prost::{DecodeError, Message as _};
use prost_types::FileDescriptorSet;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;
use tonic_reflection::{
    pb,
    server::{v1, v1alpha},
};

use self::answering::{Answering, Index};
use super::{ENCODINGS, MAX_QUESTION_BYTES};

const HEALTH_SERVICE: &str = "grpc.health.v1.Health";
const REFLECTION_SERVICES: [&str; 2] =
    ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// All that is served.
pub(super) struct Described {
    index: Arc<Index>,
    methods: Vec<Method>,
}

/// One method that is served.
#[derive(Debug, Clone)]
pub struct Method {
    /// The full name of its service.
    pub service: String,
    /// Its own name.
    pub name: String,
    /// Whether a call of it may send any number of messages.
    pub takes_stream: bool,
    /// Whether it may answer with any number of messages.
    pub gives_stream: bool,
}

impl Described {
    pub(super) fn new(
        descriptors: &'static [u8],
        service: &'static str,
    ) -> Result<Self, DecodeError> {
        let sets = [
            descriptors,
            // Without it, clients that learn everything by reflection cannot decode error details.
            tonic_types::pb::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            pb::v1::FILE_DESCRIPTOR_SET,
            pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let mut names = vec![service, HEALTH_SERVICE];
        names.extend(REFLECTION_SERVICES);
        let mut methods = Vec::new();
        for set in sets {
            methods_of(&FileDescriptorSet::decode(set)?, &names, &mut methods);
        }
        Ok(Self { index: Arc::new(Index::new(&sets, &names)?), methods })
    }

    pub(super) fn methods(&self) -> &[Method] {
        &self.methods
    }

    pub(super) fn add_to(&self, routes: &mut RoutesBuilder, soft: &CancellationToken) {
        let answering = Answering { index: Arc::clone(&self.index), soft: soft.clone() };
        let mut v1 = v1::ServerReflectionServer::new(answering.clone())
            .max_decoding_message_size(MAX_QUESTION_BYTES);
        let mut v1alpha = v1alpha::ServerReflectionServer::new(answering)
            .max_decoding_message_size(MAX_QUESTION_BYTES);
        for encoding in ENCODINGS {
            v1 = v1.accept_compressed(encoding).send_compressed(encoding);
            v1alpha = v1alpha.accept_compressed(encoding).send_compressed(encoding);
        }
        routes.add_service(v1);
        routes.add_service(v1alpha);
    }
}

/// All methods of these services, for an edge around them where nobody listens.
pub fn methods(descriptors: &'static [u8], services: &[&str]) -> Result<Vec<Method>, DecodeError> {
    let mut methods = Vec::new();
    methods_of(&FileDescriptorSet::decode(descriptors)?, services, &mut methods);
    Ok(methods)
}

fn methods_of(set: &FileDescriptorSet, served: &[&str], methods: &mut Vec<Method>) {
    for file in &set.file {
        for service in &file.service {
            let full_name = match file.package() {
                "" => service.name().to_owned(),
                package => format!("{package}.{}", service.name()),
            };
            if served.contains(&full_name.as_str()) {
                methods.extend(service.method.iter().map(|method| Method {
                    service: full_name.clone(),
                    name: method.name().to_owned(),
                    takes_stream: method.client_streaming(),
                    gives_stream: method.server_streaming(),
                }));
            }
        }
    }
}
