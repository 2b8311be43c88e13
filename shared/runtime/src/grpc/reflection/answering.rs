//! Answers the questions of one stream, each by itself: what is not there is told in its answer, as the
//! protocol wants it, and the next question is answered all the same.

use std::{collections::HashMap, pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt as _};
use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_reflection::pb::{
    v1::{
        self, ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
        ServerReflectionRequest as Question, ServerReflectionResponse as Answer, ServiceResponse,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    },
    v1alpha,
};

/// A descriptor set whose files are not looked into: what is served is what was compiled, with all its
/// options.
#[derive(Message)]
struct Files {
    #[prost(bytes = "vec", repeated, tag = "1")]
    files: Vec<Vec<u8>>,
}

/// What can be asked for.
#[derive(Debug, Default)]
pub(super) struct Index {
    services: Vec<String>,
    files: HashMap<String, Arc<[u8]>>,
    /// The file in which each message, enum, service and whatever is within them is described.
    symbols: HashMap<String, Arc<[u8]>>,
}

impl Index {
    pub fn new(sets: &[&[u8]], services: &[&str]) -> Result<Self, prost::DecodeError> {
        let services = services.iter().map(|&service| service.to_owned()).collect();
        let mut index = Self { services, ..Self::default() };
        for set in sets {
            for file in Files::decode(*set)?.files {
                let described = FileDescriptorProto::decode(file.as_slice())?;
                index.add(&described, &Arc::from(file));
            }
        }
        Ok(index)
    }

    /// Of a file that several sets hold the first is served, for its symbols too.
    fn add(&mut self, described: &FileDescriptorProto, file: &Arc<[u8]>) {
        if self.files.contains_key(described.name()) {
            return;
        }
        self.files.insert(described.name().to_owned(), Arc::clone(file));
        let mut names = Names { index: self, file };
        let package = described.package();
        for message in &described.message_type {
            names.add_message(package, message);
        }
        for one in &described.enum_type {
            names.add_enum(package, one);
        }
        for service in &described.service {
            let service_name = names.add(package, service.name());
            for method in &service.method {
                names.add(&service_name, method.name());
            }
        }
    }

    fn answer(&self, question: Question) -> Answer {
        let found = match &question.message_request {
            Some(MessageRequest::FileByFilename(name)) => file_of(&self.files, name),
            Some(MessageRequest::FileContainingSymbol(name)) => file_of(&self.symbols, name),
            Some(MessageRequest::ListServices(_)) => Ok(self.services()),
            Some(MessageRequest::FileContainingExtension(_)) => Err(NO_EXTENSIONS),
            // None; some clients, grpcurl among them, take a refusal for the end of all.
            Some(MessageRequest::AllExtensionNumbersOfType(name)) => {
                let none =
                    ExtensionNumberResponse { base_type_name: name.clone(), ..<_>::default() };
                Ok(MessageResponse::AllExtensionNumbersResponse(none))
            }
            None => Err(NO_QUESTION),
        };
        let answer = found.unwrap_or_else(|(code, message)| {
            let (error_code, error_message) = (code.into(), message.to_owned());
            MessageResponse::ErrorResponse(ErrorResponse { error_code, error_message })
        });
        Answer {
            valid_host: question.host.clone(),
            original_request: Some(question),
            message_response: Some(answer),
        }
    }

    fn services(&self) -> MessageResponse {
        let names = self.services.iter().cloned();
        let service = names.map(|name| ServiceResponse { name }).collect();
        MessageResponse::ListServicesResponse(ListServiceResponse { service })
    }
}

type Refusal = (Code, &'static str);

const NOT_THERE: Refusal = (Code::NotFound, "nothing of this name is described here");
const NO_EXTENSIONS: Refusal = (Code::NotFound, "no extensions are described here");
const NO_QUESTION: Refusal = (Code::InvalidArgument, "it asks for nothing that is known here");

fn file_of(files: &HashMap<String, Arc<[u8]>>, name: &str) -> Result<MessageResponse, Refusal> {
    let file = files.get(name).ok_or(NOT_THERE)?;
    let file_descriptor_proto = vec![file.to_vec()];
    Ok(MessageResponse::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto }))
}

/// The names of one file on their way into the index.
struct Names<'a> {
    index: &'a mut Index,
    file: &'a Arc<[u8]>,
}

impl Names<'_> {
    /// Adds a name within another, and answers it in full.
    fn add(&mut self, within: &str, name: &str) -> String {
        let full = if within.is_empty() { name.to_owned() } else { format!("{within}.{name}") };
        self.index.symbols.insert(full.clone(), Arc::clone(self.file));
        full
    }

    fn add_message(&mut self, within: &str, message: &DescriptorProto) {
        let name = self.add(within, message.name());
        for nested in &message.nested_type {
            self.add_message(&name, nested);
        }
        for one in &message.enum_type {
            self.add_enum(&name, one);
        }
        for field in &message.field {
            self.add(&name, field.name());
        }
        for oneof in &message.oneof_decl {
            self.add(&name, oneof.name());
        }
    }

    fn add_enum(&mut self, within: &str, one: &EnumDescriptorProto) {
        let name = self.add(within, one.name());
        for value in &one.value {
            self.add(&name, value.name());
        }
    }
}

type Answers<A> = Pin<Box<dyn Stream<Item = Result<A, Status>> + Send>>;

/// The service in both of its versions. Its streams end when the process shall end, so that a client
/// that keeps one open does not hold up the drain.
#[derive(Debug, Clone)]
pub(super) struct Answering {
    pub index: Arc<Index>,
    pub soft: CancellationToken,
}

impl Answering {
    fn answers<Q: Send + 'static, A>(
        &self,
        questions: Request<Streaming<Q>>,
        answer: impl Fn(&Index, Q) -> Result<A, Status> + Send + 'static,
    ) -> Response<Answers<A>> {
        let index = Arc::clone(&self.index);
        let questions = questions.into_inner().take_until(self.soft.clone().cancelled_owned());
        let answers = questions.map(move |question| answer(&index, question?));
        Response::new(Box::pin(answers))
    }
}

#[tonic::async_trait]
impl v1::server_reflection_server::ServerReflection for Answering {
    type ServerReflectionInfoStream = Answers<Answer>;

    async fn server_reflection_info(
        &self,
        questions: Request<Streaming<Question>>,
    ) -> Result<Response<Answers<Answer>>, Status> {
        Ok(self.answers(questions, |index, question| Ok(index.answer(question))))
    }
}

#[tonic::async_trait]
impl v1alpha::server_reflection_server::ServerReflection for Answering {
    type ServerReflectionInfoStream = Answers<v1alpha::ServerReflectionResponse>;

    async fn server_reflection_info(
        &self,
        questions: Request<Streaming<v1alpha::ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        Ok(self.answers(questions, |index, question| recoded(&index.answer(recoded(&question)?))))
    }
}

/// The same in the other version: they differ in the name of their package only.
fn recoded<M: Message + Default>(message: &impl Message) -> Result<M, Status> {
    M::decode(message.encode_to_vec().as_slice())
        .map_err(|_| Status::internal("the versions of reflection differ"))
}
