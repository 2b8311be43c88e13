//! One span: begun, told what became of it, ended when it is dropped.

use http::HeaderValue;
use opentelemetry::{
    KeyValue, Value,
    trace::{Span as _, Status},
};
use tonic::Code;

use super::traceparent;

/// A span that has begun.
#[derive(Debug)]
pub struct Span {
    /// Boxed, so that calls without one need no room for it.
    inner: Box<opentelemetry_sdk::trace::Span>,
}

impl Span {
    pub(super) fn new(inner: opentelemetry_sdk::trace::Span) -> Self {
        Self { inner: Box::new(inner) }
    }

    /// What those who are asked within this span shall know it by.
    pub fn traceparent(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(traceparent::written(self.inner.span_context())).ok()
    }

    /// Says something about it. Must not be a value or the name of a config.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.inner.set_attribute(KeyValue::new(name, value));
    }

    /// The span of a gRPC call has ended with this code.
    pub fn end_call(mut self, code: Code, is_server: bool) {
        self.set("rpc.grpc.status_code", i64::from(i32::from(code)));
        // A server is not to blame for what its caller got wrong.
        let is_fault = match code {
            Code::Ok => false,
            Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => true,
            _ => !is_server,
        };
        self.end(is_fault);
    }

    /// It has ended, well or by a fault.
    pub fn end(mut self, is_fault: bool) {
        if is_fault {
            self.inner.set_status(Status::error(""));
        }
        self.inner.end();
    }
}
