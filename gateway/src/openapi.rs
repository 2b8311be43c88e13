//! The description of this API for machines: `OpenAPI` 3.1, made of the routes themselves. What all
//! operations have in common (namespaces, problems) is added here, once.

use serde_json::{Value, json};
use utoipa::{PartialSchema as _, ToSchema};

use crate::problem::{Code, Details};
use crate::routes::{self, NAMESPACED};

const ABOUT: &str = "The configuration store that never forgets: every change to every setting is \
an event in a durable log, and what was true at any moment can be asked.\n\n\
Answers are plain text or JSON: values, `OK` and short error texts by default, records, receipts \
and problem details (RFC 9457) for `Accept: application/json`.\n\n\
The routes below `/v1/config` and `/v1/health` are also there without `/v1`, for old clients.";

/// The statuses that any operation with servers behind it may have.
const COMMON: [(&str, &str); 6] = [
    WRONG,
    NOT_ALLOWED,
    TOO_MANY,
    ("500", "A fault in the server: `INTERNAL`"),
    (
        "503",
        "A server cannot be reached, is not as fresh as wished (`UNAVAILABLE`), or does not \
      say what became of a command (`OUTCOME_UNKNOWN`)",
    ),
    ("504", "A server took too long: `DEADLINE_EXCEEDED`"),
];
/// What any operation may have: a request has headers, if nothing else.
const WRONG: (&str, &str) = ("400", "A part of the request is wrong: `INVALID_ARGUMENT`");
/// What any operation may have, whatever is asked of it.
const TOO_MANY: (&str, &str) =
    ("429", "As many requests, or bytes of answers, as allowed are under way: `LIMIT_EXCEEDED`");
/// What any operation may have before anything of it is looked at.
const NOT_ALLOWED: (&str, &str) =
    ("403", "The gateway does not answer to this host name: `HOST_NOT_ALLOWED`");
/// Those of operations that change something.
const OF_WRITES: [(&str, &str); 2] = [
    (
        "403",
        "The web origin may not change configs (`ORIGIN_NOT_ALLOWED`), or the gateway does not answer \
         to this host name (`HOST_NOT_ALLOWED`)",
    ),
    ("409", "The log lost its tail: `LOG_CHANGED`"),
];
/// Those of operations that take a body.
const OF_BODIES: [(&str, &str); 1] = [("408", "The body came too slowly: `REQUEST_TIMEOUT`")];

/// Where operations on configs stand that may say their namespace in the query.
const OF_CONFIGS: [&str; 4] = ["/v1/config", "/v1/apply", "/v1/diff", "/v1/watch"];

/// The whole document.
pub(crate) fn description() -> Value {
    let document = routes::documented().into_openapi();
    // A document that is no JSON would be a fault of its library; the tests would show it.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["info"] = json!({
        "title": "ConfigApi",
        "version": env!("CARGO_PKG_VERSION"),
        "description": ABOUT,
    });
    document["tags"] = json!([
        {"name": "configs", "description": "Read, change, compare and watch configs."},
        {"name": "operations", "description": "How the system is doing, and what it can do."},
    ]);
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, item) in paths {
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                complete(path, method, operation);
            }
        }
    }
    add_problem_schemas(&mut document);
    be_strict(&mut document);
    document
}

fn complete(path: &str, method: &str, operation: &mut Value) {
    if path.starts_with(NAMESPACED) {
        in_namespace(operation);
    } else if OF_CONFIGS.iter().any(|base| path.starts_with(base)) {
        let of_many = method == "get" && !path.starts_with("/v1/config/");
        add_parameter(operation, namespace_parameter("query", of_many));
    }
    let is_document = !path.starts_with("/v1");
    let is_health = path.ends_with("/health");
    // What is said first stays.
    if method != "get" {
        add_statuses(operation, &OF_WRITES);
    }
    if operation.get("requestBody").is_some() {
        add_statuses(operation, &OF_BODIES);
    }
    if is_health || is_document {
        add_statuses(operation, &[WRONG, NOT_ALLOWED, TOO_MANY]);
    } else {
        add_statuses(operation, &COMMON);
    }
    for parameter in members(operation, "parameters") {
        never_null(&mut parameter["schema"]);
    }
    word_problems(operation);
}

/// A parameter that is left out is not there; there is no null in URLs and headers.
fn never_null(schema: &mut Value) {
    if let Some(types) = schema.get("type").and_then(Value::as_array) {
        let only = types.iter().find(|kind| *kind != "null").cloned();
        schema["type"] = only.unwrap_or_default();
    }
    if let Some(choices) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        choices.retain(|choice| choice["type"] != "null");
        if let [only] = choices.as_mut_slice() {
            *schema = only.take();
        }
    }
}

/// The members of an array that may be there.
fn members<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten()
}

/// What the code refuses although its types do not show it.
fn be_strict(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    for command in members(&mut schemas["Command"], "oneOf") {
        command["additionalProperties"] = false.into();
    }
    schemas["RestoreTarget"]["maxProperties"] = 1.into();
}

/// The same operation for any namespace.
fn in_namespace(operation: &mut Value) {
    let id = operation["operationId"].as_str().unwrap_or_default();
    operation["operationId"] = format!("{id}_in_namespace").into();
    let summary = operation["summary"].as_str().unwrap_or_default();
    operation["summary"] = format!("{summary}, in a namespace").into();
    add_parameter(operation, namespace_parameter("path", false));
}

fn namespace_parameter(place: &str, or_all: bool) -> Value {
    let (pattern, more) =
        if or_all { ("^([a-z0-9-]+|[*])$", "; `*` means all") } else { ("^[a-z0-9-]+$", "") };
    json!({
        "name": "namespace",
        "in": place,
        "required": place == "path",
        "description": format!("The namespace: 1 to 64 bytes of `a-z 0-9 -`{more}."),
        "schema": {"type": "string", "pattern": pattern, "minLength": 1, "maxLength": 64},
    })
}

fn add_parameter(operation: &mut Value, parameter: Value) {
    match operation.get_mut("parameters").and_then(Value::as_array_mut) {
        Some(parameters) => parameters.insert(0, parameter),
        None => operation["parameters"] = Value::Array(vec![parameter]),
    }
}

fn add_statuses(operation: &mut Value, statuses: &[(&str, &str)]) {
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, description) in statuses {
        responses.entry(*status).or_insert_with(|| json!({"description": description}));
    }
}

/// Every problem is worded in the same two ways.
fn word_problems(operation: &mut Value) {
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        let is_problem = status.as_str() >= "400" && response.get("content").is_none();
        if !is_problem {
            continue;
        }
        response["content"] = json!({
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
            "text/plain": {"schema": {"type": "string"}},
        });
        if matches!(status.as_str(), "429" | "503") {
            response["headers"] = json!({
                "Retry-After": {
                    "description": "After how many seconds to come again",
                    "schema": {"type": "integer", "minimum": 1},
                },
            });
        }
    }
}

fn add_problem_schemas(document: &mut Value) {
    let mut schemas = vec![(Details::name().into_owned(), Details::schema())];
    Details::schemas(&mut schemas);
    for (name, schema) in schemas {
        let schema = serde_json::to_value(schema).unwrap_or_default();
        document["components"]["schemas"][name] = schema;
    }
    document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"] = codes();
}

/// All codes that a problem may have.
fn codes() -> Value {
    Code::all().map(|code| Value::from(code.as_str())).collect()
}
