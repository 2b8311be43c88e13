//! What a server says about itself: reflection v1 and v1alpha, and the list of its methods for the
//! edge. Must only speak of services that are served here.

use std::task::{Context, Poll};

use futures_util::StreamExt as _;
use http::Request;
use http_body_util::{BodyStream, StreamBody};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService, service::RoutesBuilder};
use tonic_reflection::{pb, server};
use tower::Service;

use super::ENCODINGS;

const HEALTH_SERVICE: &str = "grpc.health.v1.Health";
const REFLECTION_SERVICES: [&str; 2] =
    ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// The descriptor sets of all that is served, and the names of the services.
pub(super) struct Described {
    sets: [&'static [u8]; 5],
    services: Vec<&'static str>,
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
    ) -> Result<Self, server::Error> {
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
        Ok(Self { sets, services: names, methods })
    }

    pub(super) fn methods(&self) -> &[Method] {
        &self.methods
    }

    pub(super) fn add_to(
        &self,
        routes: &mut RoutesBuilder,
        soft: &CancellationToken,
    ) -> Result<(), server::Error> {
        let mut v1 = self.builder().build_v1()?;
        let mut v1alpha = self.builder().build_v1alpha()?;
        for encoding in ENCODINGS {
            v1 = v1.accept_compressed(encoding).send_compressed(encoding);
            v1alpha = v1alpha.accept_compressed(encoding).send_compressed(encoding);
        }
        routes.add_service(Ending { inner: v1, soft: soft.clone() });
        routes.add_service(Ending { inner: v1alpha, soft: soft.clone() });
        Ok(())
    }

    fn builder(&self) -> server::Builder<'static> {
        let builder = server::Builder::configure().include_reflection_service(false);
        let builder = self
            .sets
            .iter()
            .fold(builder, |builder, set| builder.register_encoded_file_descriptor_set(set));
        self.services.iter().fold(builder, |builder, name| builder.with_service_name(*name))
    }
}

/// All methods of these services, for an edge around them where nobody listens.
pub fn methods(
    descriptors: &'static [u8],
    services: &[&str],
) -> Result<Vec<Method>, prost::DecodeError> {
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

/// A reflection service whose callers' streams of questions end when the process shall end, so that
/// a client that keeps one open does not hold up the drain.
#[derive(Debug, Clone)]
struct Ending<S> {
    inner: S,
    soft: CancellationToken,
}

impl<S: NamedService> NamedService for Ending<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Ending<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        let end = self.soft.clone().cancelled_owned();
        let ending = |body| Body::new(StreamBody::new(BodyStream::new(body).take_until(end)));
        self.inner.call(request.map(ending))
    }
}
