//! Generates the server half of the contract anew, for answers that are written straight from the
//! projection: what a handler returns is `wire::Encoded` instead of a generated message.

use std::error::Error;

const ROOT: &str = "../proto";
const FILE: &str = "configapi/v1/query_service.proto";
/// The answers that are written straight from the projection.
const ENCODED: [&str; 6] = [
    "GetResponse",
    "ListResponse",
    "HistoryResponse",
    "AtTimeResponse",
    "DiffResponse",
    "WatchResponse",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={ROOT}");
    let mut compiler = protox::Compiler::new([ROOT])?;
    compiler.include_source_info(true).include_imports(true).open_files([FILE])?;
    let mut builder = tonic_prost_build::configure()
        .build_client(false)
        .codec_path("::configapi_proto::ServerCodec")
        .extern_path(".configapi.v1", "::configapi_proto::v1");
    for answer in ENCODED {
        let encoded = format!("crate::wire::Encoded<::configapi_proto::v1::{answer}>");
        builder = builder.extern_path(format!(".configapi.v1.{answer}"), encoded);
    }
    builder.compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
