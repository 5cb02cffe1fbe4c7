//! The form that a token request consists of.

use crate::endpoints::Refusal;
use crate::entra::known;
use crate::record::Request;
use crate::text::decode_form;

/// The parameters of a token request, of which none may be given twice.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub(crate) fn of(request: &Request) -> Result<Self, Refusal> {
        if request.method != "POST" {
            let text = format!("The endpoint only accepts POST requests. Received a {} request.", request.method);
            return Err(known(900_561, text));
        }
        let media_type = request.header("content-type").unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            // Entra does not look into any other body, so it misses the first parameter.
            return Err(missing("grant_type"));
        }
        match std::str::from_utf8(&request.body) {
            Ok(text) => Self::parse(text),
            Err(_) => Err(known(90100, "The request body is not a valid form.")),
        }
    }

    /// The form in the text of a body or a query.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let Some(pairs) = decode_form(text) else {
            return Err(known(90100, "The request body is not a valid form."));
        };
        let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) =
            names.windows(2).find_map(|two| if let [a, b] = two { (a == b).then_some(*a) } else { None })
        {
            let text = format!(
                "The request is not properly formatted. The parameter '{twice}' is duplicated: please remove the duplicate and retry."
            );
            return Err(known(9_000_411, text));
        }
        Ok(Self(pairs))
    }

    /// The value, if it is there and not empty.
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, value)| other == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.optional(name).ok_or_else(|| missing(name))
    }
}

pub(crate) fn missing(name: &str) -> Refusal {
    known(900_144, format!("The request body must contain the following parameter: '{name}'."))
}

/// What the grant misses, in the words that it has for its own fields.
pub(crate) fn missing_field(name: &str) -> Refusal {
    known(
        90014,
        format!(
            "The required field '{name}' is missing from the credential. Ensure that you have all the necessary parameters for the login \
             request."
        ),
    )
}
