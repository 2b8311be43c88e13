//! Turns the contract under `proto/` into Rust. No `protoc` is needed.

use std::error::Error;
use std::path::PathBuf;

/// The directory that imports are relative to.
const ROOT: &str = "../../proto";
/// The files of the contract.
const FILES: [&str; 3] = [
    "configapi/v1/types.proto",
    "configapi/v1/command_service.proto",
    "configapi/v1/query_service.proto",
];
/// The messages that hold values. Their debug form is written by hand and leaves the value out.
const WITH_VALUES: [&str; 6] = [
    ".configapi.v1.Config",
    ".configapi.v1.SetRequest",
    ".configapi.v1.SetAction",
    ".configapi.v1.ConfigValueSet",
    ".configapi.v1.ConfigValueDeleted",
    ".configapi.v1.ConfigValueRestored",
];
/// What the server half takes messages in and out with.
const SERVER_CODEC: &str = "crate::ServerCodec";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={ROOT}");
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new([ROOT])?;
    compiler.include_source_info(true).include_imports(true).open_files(FILES)?;
    std::fs::write(out_dir.join("configapi.v1.bin"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .build_server(false)
        .skip_debug(WITH_VALUES)
        .compile_fds(compiler.file_descriptor_set())?;

    let server = out_dir.join("server");
    std::fs::create_dir_all(&server)?;
    tonic_prost_build::configure()
        .build_client(false)
        .extern_path(".configapi.v1", "crate::v1")
        .codec_path(SERVER_CODEC)
        .out_dir(server)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
