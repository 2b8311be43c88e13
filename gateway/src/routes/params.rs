//! How parameters that several routes share look in the `OpenAPI` document. They are read by
//! `Target` and `Asked`; here they are only described.

#![expect(dead_code, reason = "describes what is read elsewhere")]

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// Parts of a name: anything that is not empty, `.` or `..`.
const NAME: &str = "^([A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*|[.]{3,})\
    (/([A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*|[.]{3,}))*$";
const TOKEN: &str = "^(0|[1-9][0-9]{0,18})-(0|[1-9][0-9]{0,18})$";

fn text(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}

/// Makes a type whose only use is to have this schema.
macro_rules! described {
    ($($(#[$about:meta])* $name:ident = $schema:expr;)+) => {
        $($(#[$about])* pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $name {})+
    };
}

described! {
    /// The name of a config.
    Name = text(NAME).min_length(Some(1)).max_length(Some(256));
    /// A value as it is.
    ValueText = text("^[^\\u0000]*$").max_length(Some(1_000_000));
    /// An epoch and a position.
    TokenText = text(TOKEN);
    /// A time, a position, or a token. No pattern says that better than words.
    Moment = ObjectBuilder::new()
        .schema_type(Type::String)
        .examples(["2024-01-15T10:30:00Z", "1042", "1-1042"]);
    /// A flag: `?dry_run`, `?dry_run=true`, `?dry_run=1`.
    Flag = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["", "true", "false", "1", "0"]));
}

/// The name of a config, for bodies.
pub(super) fn name() -> RefOr<Schema> {
    text(NAME)
        .min_length(Some(1))
        .max_length(Some(256))
        .description(Some("The name of the config."))
        .into()
}

/// Which config.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct NamePath {
    /// The name of the config: 1 to 256 bytes of `A-Z a-z 0-9 _ - .` and `/`, where no part between
    /// slashes is empty, `.` or `..`. A `/` travels as `%2F`.
    #[param(value_type = Name, inline)]
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

/// What the client has already, or wants to be still the same.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct CacheHeaders {
    /// Answer 412 if it is none of these entity tags. Of a config, both of its tags name the version;
    /// the tags of all else are weak and match nothing, so there only `*` is met.
    #[param(
        rename = "If-Match",
        pattern = "^([*]|(W/)?\"[!#-~]*\"(, *(W/)?\"[!#-~]*\")*)$",
        example = "\"3\""
    )]
    if_match: Option<String>,
    /// Answer 304 if the entity tag is still one of these.
    #[param(rename = "If-None-Match")]
    if_none_match: Option<String>,
}

/// How fresh an answer must be, as headers say it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct FreshnessHeaders {
    /// Wait until the answer includes this token's write: what an earlier answer said in the same
    /// header.
    #[param(rename = "ConfigApi-Token", value_type = Option<TokenText>, inline, example = "1-1042")]
    token: Option<String>,
    /// `wait=N`: wait at most N seconds.
    #[param(rename = "Prefer", example = "wait=5")]
    prefer: Option<String>,
}

/// What a write may say in its headers.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct WriteHeaders {
    /// Makes the command repeatable: 1 to 128 visible ASCII characters. A repeat with the same key
    /// gets the first answer and writes nothing.
    #[param(rename = "Idempotency-Key", pattern = "^[!-~]+$", min_length = 1, max_length = 128)]
    idempotency_key: Option<String>,
    /// Who asks for the change, for the record: up to 256 bytes.
    #[param(rename = "ConfigApi-Actor", pattern = "^([!-~]([ -~]*[!-~])?)?$", max_length = 256)]
    actor: Option<String>,
    /// Why, for the record: up to 1,024 bytes.
    #[param(rename = "ConfigApi-Reason", pattern = "^([!-~]([ -~]*[!-~])?)?$", max_length = 1024)]
    reason: Option<String>,
    /// `wait=N`: wait at most N seconds.
    #[param(rename = "Prefer", example = "wait=5")]
    prefer: Option<String>,
}

/// What must hold for a write to happen.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct ConditionHeaders {
    /// Only if the config is at this version, as in the header `ETag`; `*`: only if it exists,
    /// whoever else writes to it meanwhile.
    #[param(
        rename = "If-Match",
        pattern = "^(\"[1-9][0-9]{0,18}(-json)?\"|[*])$",
        example = "\"3\""
    )]
    if_match: Option<String>,
}

/// What must hold for a config to be created.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct CreationHeaders {
    /// `*`: only if the config never existed. Nothing: as if it were not there.
    #[param(rename = "If-None-Match", pattern = "^[*]?$", example = "*")]
    if_none_match: Option<String>,
}
