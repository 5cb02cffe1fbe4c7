//! What PowerShell says on its error output: plain text, or objects in XML ("CLIXML").
//!
//! Source: PowerShell, `ConsoleHost.cs` (`ErrorFormat`), and [MS-PSRP], section 2.2.5.

/// The words of an error output: of XML those of its error records, without line breaks and what stands for them.
pub(crate) fn words(text: &str) -> String {
    let plain =
        if MARKS.iter().any(|mark| text.trim_start().starts_with(mark)) { errors(text) } else { text.to_owned() };
    let plain = crate::said::text(plain.as_bytes());
    // Long lines are broken, and the rest of them is marked by a bar.
    let lines = plain.lines().map(|line| line.trim_start().strip_prefix("| ").unwrap_or(line));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

/// The text of all elements `<S S="Error">`.
fn errors(xml: &str) -> String {
    let mut text = String::new();
    let mut rest = xml;
    while let Some((_, after)) = rest.split_once(r#"<S S="Error">"#) {
        let (inner, end) = after.split_once("</S>").unwrap_or((after, ""));
        decode(inner, &mut text);
        rest = end;
    }
    text
}

/// Takes back what XML escapes, and what XML cannot hold: `_x000D_` is a carriage return.
fn decode(escaped: &str, text: &mut String) {
    let mut rest = escaped;
    while let Some(at) = rest.find(['&', '_']) {
        let (before, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
        text.push_str(before);
        let (c, len) = entity(special).or_else(|| code(special)).unwrap_or((special.chars().next().unwrap_or('_'), 1));
        text.push(c);
        rest = special.get(len..).unwrap_or_default();
    }
    text.push_str(rest);
}

fn entity(text: &str) -> Option<(char, usize)> {
    const ENTITIES: [(&str, char); 5] =
        [("&lt;", '<'), ("&gt;", '>'), ("&amp;", '&'), ("&quot;", '"'), ("&apos;", '\'')];
    ENTITIES.iter().find(|(entity, _)| text.starts_with(entity)).map(|(entity, c)| (*c, entity.len()))
}

fn code(text: &str) -> Option<(char, usize)> {
    let digits = text.strip_prefix("_x")?.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    text.get(6..)?.starts_with('_').then_some(())?;
    // Half of a pair stands for nothing that is looked for.
    Some((char::from_u32(u32::from_str_radix(digits, 16).ok()?).unwrap_or('\u{fffd}'), 7))
}

/// The sentence that matters: PowerShell says before or behind it where in the script it happened.
pub(crate) fn gist(words: &str) -> &str {
    let (sentence, _) = words.split_once(" At line:").unwrap_or((words, ""));
    sentence.rsplit_once("~~ ").map_or(sentence, |(_, sentence)| sentence)
}

/// How objects in XML start. The first goes where a line of it is lost.
const MARKS: [&str; 2] = ["#< CLIXML", "<Objs "];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_records_become_words() {
        let xml = concat!(
            "#< CLIXML\r\n<Objs Version=\"1.1.0.1\"><Obj S=\"progress\"><TN><T>x</T></TN></Obj>",
            r#"<S S="Error">_x001B_[31;1mGet-AzAccessToken: _x001B_[0m_x000D__x000A_</S>"#,
            r#"<S S="Error">_x001B_[31;1m     | _x001B_[31;1mRun Connect-Az_x005F_x &lt;now&gt; &amp; _x_x00_ &quot;_x000A_</S>"#,
            r#"<S S="Warning">no</S><S S="Error">cut"#,
        );
        assert_eq!(words(xml), "Get-AzAccessToken: Run Connect-Az_x <now> & _x_x00_ \" cut");
    }

    #[test]
    fn the_place_in_the_script_is_left_out() {
        for (words, expected) in [
            ("Get-X: Line | 26 | $t = Get-X ~~~~~ Run Y to login.", "Run Y to login."),
            ("Get-X : Run Y to login. At line:1 char:10 + ~~~~ + CategoryInfo : Z", "Get-X : Run Y to login."),
            ("boomed", "boomed"),
        ] {
            assert_eq!(gist(words), expected);
        }
    }

    #[test]
    fn plain_text_loses_its_line_breaks_only() {
        assert_eq!(words("a  <S S=\"Error\">\r\n     | b_x000D_\n\nc\u{1b}[0m"), "a <S S=\"Error\"> b_x000D_ c");
        assert_eq!(words(""), "");
    }
}
