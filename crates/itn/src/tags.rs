//! What a tagger writes, `date { year: "2024" month: "3" } char { value: "好" }`, with the parts in the order that the verbalizer wants.

/// The order of parts, by the kind of tag. Parts that are not listed stand behind these; other kinds keep theirs.
const ORDERS: [(&str, &[&str]); 7] = [
    ("date", &["year", "month", "day", "preserve_order"]),
    ("fraction", &["sign", "numerator", "denominator"]),
    ("measure", &["numerator", "denominator", "value", "units"]),
    ("money", &["currency", "value", "decimal", "quantity"]),
    ("time", &["hour", "minute", "second", "noon", "zone"]),
    ("telephone", &["country_code", "number_part"]),
    ("electronic", &["username", "domain", "protocol"]),
];
/// A part that says that the tag's parts are in order.
const IN_ORDER: (&str, &str) = ("preserve_order", "true");

/// A part's name and value, as they are written.
type Part<'t> = (&'t str, &'t str);

/// The tags with their parts in order; `None` if these are no tags.
pub(crate) fn in_order(tags: &str) -> Option<String> {
    let mut written = String::with_capacity(tags.len());
    let mut rest = tags.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('{')?;
        let (parts, after) = parts(after)?;
        if !written.is_empty() {
            written.push(' ');
        }
        let name = name.trim_end();
        written += name;
        written += " {";
        for (key, value) in ordered(name, parts) {
            written += &format!(" {key}: \"{value}\"");
        }
        written += " }";
        rest = after.trim_start();
    }
    Some(written)
}

/// The parts up to a tag's end, and what is behind that.
fn parts(text: &str) -> Option<(Vec<Part<'_>>, &str)> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let mut rest = text.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Some((parts, after));
        }
        let (key, after) = rest.split_once(": \"")?;
        let end = value_end(after)?;
        let (value, after) = after.split_at_checked(end)?;
        // Of a part that is there twice, the last one counts.
        match parts.iter_mut().find(|(known, _)| *known == key) {
            Some(part) => part.1 = value,
            None => parts.push((key, value)),
        }
        rest = after.strip_prefix('"')?.trim_start();
    }
}

/// Where the quotation mark is that ends a value.
fn value_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, letter)| {
        let ends = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends.then_some(at)
    })
}

fn ordered<'t>(name: &str, parts: Vec<Part<'t>>) -> Vec<Part<'t>> {
    let order = ORDERS.iter().find(|(kind, _)| *kind == name);
    let Some((_, order)) = order.filter(|_| !parts.contains(&IN_ORDER)) else {
        return parts;
    };
    let place = |key: &str| order.iter().position(|known| *known == key);
    let mut parts = parts;
    parts.sort_by_key(|(key, _)| place(key).unwrap_or(order.len()));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_in_the_order_of_their_kind() {
        for (tags, expected) in [
            (
                r#"time { noon: "下午" hour: "三" minute: "半" }  char { value: "好" } "#,
                r#"time { hour: "三" minute: "半" noon: "下午" } char { value: "好" }"#,
            ),
            (
                r#"fraction { denominator: "3" numerator: "1" else: "x" sign: "-" }"#,
                r#"fraction { sign: "-" numerator: "1" denominator: "3" else: "x" }"#,
            ),
            (
                r#"date { month: "may" year: "2024" preserve_order: "true" }"#,
                r#"date { month: "may" year: "2024" preserve_order: "true" }"#,
            ),
            (
                r#"char { value: "\"" } char { value: "\\" } char { value: "}" }"#,
                r#"char { value: "\"" } char { value: "\\" } char { value: "}" }"#,
            ),
            (
                r#"word { value: "a" value: "b" }"#,
                r#"word { value: "b" }"#,
            ),
            ("", ""),
        ] {
            assert_eq!(in_order(tags).as_deref(), Some(expected), "{tags}");
        }
    }

    #[test]
    fn what_are_no_tags_is_nothing() {
        for text in [
            "date",
            "date {",
            "date { year",
            r#"date { year: "20"#,
            r#"date { year: "20" "#,
        ] {
            assert_eq!(in_order(text), None, "{text}");
        }
    }
}
