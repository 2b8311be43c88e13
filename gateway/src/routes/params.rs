//! How parameters that several routes share look in the `OpenAPI` document. They are read by
//! `Target` and `Asked`; here they are only described.

#![expect(dead_code, reason = "describes what is read elsewhere")]

use utoipa::{IntoParams, ToSchema};

/// Which config.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct NamePath {
    /// The name of the config: 1 to 256 bytes of `A-Z a-z 0-9 _ - .` and `/`, where no part between
    /// slashes is empty, `.` or `..`. A `/` travels as `%2F`.
    #[param(
        min_length = 1,
        max_length = 256,
        pattern = "^([A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*|[.]{3,})(/([A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*|[.]{3,}))*$"
    )]
    name: String,
}

/// How fresh an answer must be.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FreshnessParams {
    /// What the answer must include: `own-writes`, everything written through this gateway (the
    /// default); `any`, whatever the server has; `linearizable`, everything acknowledged to
    /// anybody before.
    #[param(inline)]
    consistency: Option<ConsistencyParam>,
}

#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
enum ConsistencyParam {
    Any,
    OwnWrites,
    Linearizable,
}

/// What a read may say in its headers.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct ReadHeaders {
    /// Answer 304 if the entity tag is still one of these.
    #[param(rename = "If-None-Match", pattern = "^[\\x21-\\x7e]*$")]
    if_none_match: Option<String>,
    /// Wait until the answer includes this token's write: what an earlier answer said in the same
    /// header.
    #[param(rename = "ConfigApi-Token", pattern = "^1-0$", example = "1-0")]
    token: Option<String>,
    /// `wait=N`: wait at most N seconds.
    #[param(rename = "Prefer", pattern = "^wait=[1-5]$", example = "wait=5")]
    prefer: Option<String>,
}

/// What a write may say in its headers.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct WriteHeaders {
    /// Makes the command repeatable: 1 to 128 visible ASCII characters. A repeat with the same key
    /// gets the first answer and writes nothing.
    #[param(
        rename = "Idempotency-Key",
        pattern = "^[A-Za-z0-9_.:-]+$",
        min_length = 1,
        max_length = 128
    )]
    idempotency_key: Option<String>,
    /// Who asks for the change, for the record: up to 256 bytes.
    #[param(rename = "ConfigApi-Actor", pattern = "^[!-~]*$", max_length = 256)]
    actor: Option<String>,
    /// Why, for the record: up to 1,024 bytes.
    #[param(rename = "ConfigApi-Reason", pattern = "^[!-~]*$", max_length = 1024)]
    reason: Option<String>,
}

/// What must hold for a write to happen.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct ConditionHeaders {
    /// Only if the config is at this version, as in the header `ETag`; `*`: only if it exists.
    #[param(rename = "If-Match", pattern = "^(\"[1-9][0-9]{0,9}\"|[*])$", example = "\"3\"")]
    if_match: Option<String>,
}

/// What must hold for a config to be created.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct CreationHeaders {
    /// `*`: only if the config never existed. Does not go with `If-Match`.
    #[param(rename = "If-None-Match", pattern = "^[*]$", example = "*")]
    if_none_match: Option<String>,
}
