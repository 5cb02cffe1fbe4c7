//! What a token is asked for.

use crate::endpoints::Refusal;
use crate::entra::known;

/// The resource of an app-only scope: one word that ends with `/.default`.
pub(crate) fn app_only_resource(scope: &str) -> Result<&str, Refusal> {
    let mut words = scope.split(' ').filter(|word| !word.is_empty());
    let Some(word) = words.next() else { return Err(invalid(scope)) };
    if !scope.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic() && !b"\"\\".contains(&byte)) {
        return Err(invalid(scope));
    }
    let resource = |word: &str| word.rsplit_once('/').map_or_else(String::new, |(resource, _)| resource.to_owned());
    if let Some(other) = words.next() {
        return Err(if resource(word) == resource(other) {
            invalid(scope)
        } else {
            known(
                28000,
                format!(
                    "Provided value for the input parameter scope is not valid because it contains more than one resource. Scope {scope} is not valid."
                ),
            )
        });
    }
    match word.strip_suffix("/.default") {
        Some(resource) if !resource.is_empty() => Ok(resource),
        _ => Err(known(
            1_002_012,
            format!(
                "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default \
                 suffixed to the resource identifier (application ID URI)."
            ),
        )),
    }
}

fn invalid(scope: &str) -> Refusal {
    known(
        70011,
        format!(
            "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. \
             The scope {scope} is not valid."
        ),
    )
}
