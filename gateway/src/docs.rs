//! The description of this API for people: one page, made once of the `OpenAPI` document, that
//! needs no script and nothing from elsewhere.

use std::fmt::Write as _;

use serde_json::Value;

use crate::problem::Code;

const STYLE: &str = include_str!("../assets/docs.css");
const GUIDE: &str = include_str!("../assets/guide.html");

/// The page.
pub(crate) fn page(description: &Value) -> String {
    let mut page = String::with_capacity(128 << 10);
    page.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.push_str("<title>ConfigApi</title>\n<style>\n");
    page.push_str(STYLE);
    page.push_str("</style>\n</head>\n<body>\n<main>\n");
    page.push_str(GUIDE);
    page.push_str("<h2 id=\"operations\">All operations</h2>\n");
    for (path, item) in description["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            add_operation(&mut page, path, method, operation);
        }
    }
    page.push_str(
        "<h2 id=\"problems\">Problems</h2>\n<p>With <code>Accept: application/json</code> \
        every problem is <code>application/problem+json</code> (RFC 9457) with one of these \
        codes.</p>\n",
    );
    for code in Code::all() {
        add_problem(&mut page, code);
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn add_operation(page: &mut String, path: &str, method: &str, operation: &Value) {
    let id = text(&operation["operationId"]);
    let _ = writeln!(
        page,
        "<details id=\"{id}\"><summary><b class=\"{method}\">{}</b> <code>{}</code> {}</summary>",
        method.to_uppercase(),
        escaped(path),
        escaped(text(&operation["summary"])),
    );
    add_paragraph(page, text(&operation["description"]));
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        page.push_str("<table>\n");
        for parameter in parameters {
            add_row(
                page,
                text(&parameter["name"]),
                text(&parameter["in"]),
                &parameter["description"],
            );
        }
        page.push_str("</table>\n");
    }
    if let Some(content) = operation["requestBody"]["content"].as_object() {
        let forms: Vec<_> = content.keys().map(String::as_str).collect();
        add_paragraph(page, &format!("Body: `{}`", forms.join("`, `")));
    }
    page.push_str("<table>\n");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let forms: Vec<_> = response["content"].as_object().into_iter().flatten().collect();
        let forms: Vec<_> = forms.iter().map(|(form, _)| form.as_str()).collect();
        add_row(page, status, &forms.join(", "), &response["description"]);
    }
    page.push_str("</table>\n</details>\n");
}

fn add_problem(page: &mut String, code: Code) {
    let _ = writeln!(
        page,
        "<section id=\"{0}\"><h3><code>{0}</code> <small>{1}</small></h3><p>{2}. {3}</p></section>",
        code.as_str(),
        code.status(false).as_u16(),
        escaped(code.title()),
        escaped(code.advice()),
    );
}

fn add_row(page: &mut String, name: &str, kind: &str, description: &Value) {
    let (name, kind) = (escaped(name), escaped(kind));
    let description = marked_up(text(description));
    let _ = writeln!(
        page,
        "<tr><th><code>{name}</code></th><td>{kind}</td><td>{description}</td></tr>"
    );
}

fn add_paragraph(page: &mut String, paragraph: &str) {
    let _ = writeln!(page, "<p>{}</p>", marked_up(paragraph));
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Text whose code is between backticks.
fn marked_up(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    for (index, part) in escaped(text).split('`').enumerate() {
        match (index, index % 2) {
            (0, _) => {}
            (_, 1) => out.push_str("<code>"),
            _ => out.push_str("</code>"),
        }
        out.push_str(part);
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
