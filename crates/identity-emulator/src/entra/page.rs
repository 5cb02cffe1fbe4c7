//! The pages that a browser shows: plain, without scripts but the one that sends an answer on, and with nothing of a request
//! in them that is not escaped.

use ring::digest;

use crate::endpoints::Refusal;
use crate::entra::xml::escape;
use crate::record::Request;
use crate::text::{Calendar, base64, percent};

/// A page for a browser. It is never printed: a code may be in it.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) html: String,
}

/// Whom the sign-in page offers, and what it says.
pub(crate) struct SignIn<'a> {
    /// The query of the request, as it came.
    pub(crate) query: &'a str,
    /// The application that has sent the user here.
    pub(crate) app: &'a str,
    pub(crate) hint: &'a str,
    /// Names of people who are one click away, each with a word about them.
    pub(crate) people: Vec<(&'a str, &'static str)>,
    pub(crate) message: Option<String>,
}

impl SignIn<'_> {
    pub(crate) fn page(&self) -> Page {
        let (query, app, hint) = (escape(self.query), escape(self.app), escape(self.hint));
        let message = self.message.as_ref().map_or_else(String::new, |text| {
            format!("<p class=\"error\" role=\"alert\" id=\"usernameError\">{}</p>", escape(text))
        });
        let people: String = self
            .people
            .iter()
            .map(|(name, note)| {
                let name = escape(name);
                // A space, for those who have it read to them.
                let note = if note.is_empty() { String::new() } else { format!(" <small>{}</small>", escape(note)) };
                format!(
                    "<li><form method=\"post\" action=\"?{query}\"><button name=\"pick\" value=\"{name}\">{name}{note}</button></form>\
                     </li>"
                )
            })
            .collect();
        let people = if people.is_empty() {
            String::new()
        } else {
            format!("<h2>Or be one of these, without a password</h2><ul>{people}</ul>")
        };
        let body = format!(
            "<h1>Sign in</h1><p>to continue to <b>{app}</b></p>{message}\
             <form method=\"post\" action=\"?{query}\">\
             <label for=\"i0116\">User</label>\
             <input id=\"i0116\" name=\"loginfmt\" type=\"text\" value=\"{hint}\" autocomplete=\"username\" autocapitalize=\"none\" \
             spellcheck=\"false\" required>\
             <label for=\"i0118\">Password</label>\
             <input id=\"i0118\" name=\"passwd\" type=\"password\" autocomplete=\"current-password\" required>\
             <div class=\"row\"><a id=\"abort\" href=\"?{query}&amp;abort=1\">Cancel</a>\
             <button id=\"idSIButton9\" class=\"main\">Sign in</button></div></form>{people}"
        );
        Page { status: 200, html: whole("Sign in", &body) }
    }
}

/// Asks for the second factor.
pub(crate) fn second_factor(query: &str, user: &str, ticket: &str) -> Page {
    let (query, user, ticket) = (escape(query), escape(user), escape(ticket));
    let body = format!(
        "<h1>Approve sign in request</h1><p>A policy asks <b>{user}</b> for more than a password. A real one would ring a telephone \
         now.</p><form method=\"post\" action=\"?{query}\"><input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">\
         <div class=\"row\"><a id=\"abort\" href=\"?{query}&amp;abort=1\">Cancel</a>\
         <button id=\"idSIButton9\" class=\"main\">Approve</button></div></form>"
    );
    Page { status: 200, html: whole("Approve", &body) }
}

/// Sends an answer on to the application (`response_mode=form_post`).
pub(crate) fn form_post(redirect_uri: &str, fields: &[(&str, String)]) -> Page {
    let inputs: String = fields
        .iter()
        .map(|(name, value)| format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escape(name), escape(value)))
        .collect();
    let body = format!(
        "<h1>Working...</h1><form method=\"post\" action=\"{}\">{inputs}<div class=\"row\"><button class=\"main\">Continue</button>\
         </div></form><script>{SCRIPT}</script>",
        escape(redirect_uri)
    );
    Page { status: 200, html: whole("Working...", &body) }
}

/// Says what is wrong with a request that cannot be answered where it asks for.
pub(crate) fn error(request: &Request, refusal: &Refusal, now: i64) -> Page {
    let code = refusal.detail.code.map_or_else(String::new, |code| format!("AADSTS{code}: "));
    let facts = [
        ("Request Id", request.trace_id.clone()),
        ("Correlation Id", request.correlation_id().to_owned()),
        ("Timestamp", Calendar::from_epoch(now).entra_timestamp()),
    ];
    let facts: String =
        facts.iter().map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>", escape(value))).collect();
    let body = format!(
        "<h1>Sign in</h1><p>Sorry, but we're having trouble signing you in.</p><p class=\"error\" role=\"alert\">{}{}</p>\
         <h2>Troubleshooting details</h2><dl>{facts}</dl>",
        escape(&code),
        escape(&refusal.message)
    );
    Page { status: refusal.status, html: whole("Sign in", &body) }
}

/// The headers of every page: a constant policy that allows the style and the one script, and nothing else.
pub(crate) fn headers() -> Vec<(String, String)> {
    let hash = |text: &str| base64(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", &policy),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        // A browser tells the page itself where a form comes from, and nobody else.
        ("Referrer-Policy", "same-origin"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// A URI with more parameters, in its query or in its fragment.
pub(crate) fn with_parameters(uri: &str, fields: &[(&str, String)], in_fragment: bool) -> String {
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}={}", percent(name), percent(value))).collect();
    let before = match (in_fragment, uri.contains('?')) {
        (true, _) => '#',
        (false, false) => '?',
        (false, true) => '&',
    };
    format!("{uri}{before}{}", pairs.join("&"))
}

fn whole(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><meta name=\"robots\" content=\"noindex\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><main>{body}</main><footer>identity-emulator: nobody here is real, and what you type \
         is recorded</footer></body></html>"
    )
}

const SCRIPT: &str = "document.forms[0].submit()";
const STYLE: &str = "\
:root{color-scheme:light dark;font:16px/1.45 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:flex;flex-direction:column;align-items:center;justify-content:center;gap:1rem;padding:1rem;\
background:#eef2f7;color:#1b1f24}\
main{width:100%;max-width:27rem;background:#fff;padding:2.2rem 2.4rem;border-radius:10px;box-shadow:0 2px 14px #1b2a4a26;\
overflow-wrap:anywhere}\
h1{font-size:1.5rem;font-weight:600;margin:0 0 .3rem}h2{font-size:.9rem;font-weight:600;margin:1.8rem 0 .5rem;color:#57606a}\
p{margin:.3rem 0 1rem}label{display:block;font-size:.85rem;margin:.9rem 0 .25rem}\
input{width:100%;font:inherit;padding:.55rem .7rem;border:1px solid #8c959f;border-radius:6px;background:#fff;color:inherit}\
button{font:inherit;cursor:pointer;border-radius:6px}\
a{color:#0b5cad}a:focus-visible,button:focus-visible,input:focus-visible{outline:2px solid #0b5cad;outline-offset:2px}\
.row{display:flex;justify-content:flex-end;align-items:center;gap:1.2rem;margin-top:1.5rem}\
.main{background:#0b5cad;color:#fff;border:0;padding:.55rem 1.5rem;font-weight:600}\
.error{color:#b42318;background:#fef3f2;border-left:3px solid #b42318;padding:.6rem .8rem;border-radius:4px}\
ul{list-style:none;margin:0;padding:0;display:grid;gap:.4rem}\
ul button{width:100%;text-align:left;background:none;border:1px solid #d0d7de;padding:.5rem .8rem;color:inherit}\
ul button:hover{background:#0b5cad12}small{display:block;color:#57606a}\
dl{font-size:.85rem;margin:0}dt{color:#57606a;margin-top:.5rem}dd{margin:0}footer{font-size:.8rem;color:#57606a}\
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}main{background:#161b22;box-shadow:none}\
input{background:#0d1117;border-color:#57606a}h2,small,dt,footer{color:#9198a1}a{color:#6cb6ff}\
a:focus-visible,button:focus-visible,input:focus-visible{outline-color:#6cb6ff}\
.error{background:#3c1618;color:#ffb3ad}ul button{border-color:#3d444d}}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_request_ends_an_element_or_an_attribute() {
        let evil = "\"'><script>alert(1)</script>&amp;";
        let page =
            SignIn { query: evil, app: evil, hint: evil, people: vec![(evil, "x")], message: Some(evil.to_owned()) };
        let pages = [
            page.page().html,
            second_factor(evil, evil, evil).html,
            form_post(evil, &[("state", evil.to_owned())]).html.replace(&format!("<script>{SCRIPT}</script>"), ""),
        ];
        for html in pages {
            assert!(!html.contains("<script") && !html.contains("\"'"), "{html}");
            assert!(html.contains("&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;"));
        }
    }

    #[test]
    fn parameters_are_escaped_and_follow_those_that_are_there() {
        let fields = [("code", "a b".to_owned()), ("state", "&x=\u{e9}".to_owned())];
        for (uri, in_fragment, expected) in [
            ("http://localhost:1", false, "http://localhost:1?code=a%20b&state=%26x%3D%C3%A9"),
            ("https://a/b?c=d", false, "https://a/b?c=d&code=a%20b&state=%26x%3D%C3%A9"),
            ("https://a/b?c=d", true, "https://a/b?c=d#code=a%20b&state=%26x%3D%C3%A9"),
        ] {
            assert_eq!(with_parameters(uri, &fields, in_fragment), expected);
        }
    }
}
