//! The answer to the start of long polling: a script that calls two functions, one with what the connection is called and
//! one with the first messages. Read tolerantly, as a browser would run it. Pure.

use serde_json::Value;

use super::words::{Said, breach};
use crate::model::Failure;

/// The function that is told of the connection, and the one that is given messages; a number follows each.
const COMMAND: &str = "pLPCommand";
const MESSAGES: &str = "pRTLPCB";

/// The first messages of a connection that was started.
pub(super) fn read(script: &str) -> Result<Vec<Said>, Failure> {
    let (_, command) = call(script, COMMAND).ok_or_else(|| breach("a script that does not start the connection"))?;
    let starts = |quote: char| command.trim_start().strip_prefix(quote).is_some_and(|rest| rest.starts_with("start"));
    if !starts('"') && !starts('\'') {
        return Err(breach("a script that starts no connection"));
    }
    if !command.contains(')') {
        return Err(breach("a script that ends in the middle"));
    }
    let (_, arguments) = call(script, MESSAGES).ok_or_else(|| breach("a script without a message"))?;
    let (_, list) = arguments.split_once(',').ok_or_else(|| breach("a script that ends in the middle"))?;
    let mut values = serde_json::Deserializer::from_str(list).into_iter::<Value>();
    let messages = match values.next() {
        Some(Ok(Value::Array(messages))) => messages,
        Some(Err(error)) if error.is_eof() => return Err(breach("a script that ends in the middle")),
        None => return Err(breach("a script that ends in the middle")),
        Some(_) => return Err(breach("a script whose messages are not JSON")),
    };
    if !list.get(values.byte_offset()..).unwrap_or_default().trim_start().starts_with(')') {
        return Err(breach("a script that ends in the middle"));
    }
    messages.iter().map(Said::of).collect()
}

/// What follows the opening bracket of a call of a function whose name begins so.
fn call<'a>(script: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    script.match_indices(name).find_map(|(at, _)| {
        let rest = script.get(at + name.len()..)?.trim_start_matches(|c: char| c.is_ascii_digit());
        rest.trim_start().strip_prefix('(').map(|rest| (script, rest))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &str = concat!(
        "pLPCommand1('start','4711','pw');\n",
        r#"pRTLPCB1(0,[{"t":"c","d":{"t":"h","d":{"ts":1,"v":"5","h":"s-1.a.test","s":"x"}}}]);"#,
    );

    #[test]
    fn as_servers_write_it() {
        assert_eq!(read(WHOLE).unwrap(), [Said::Hello]);
        let other = WHOLE.replace('\'', "\"").replace("pLP", "window.pLP").replace("(0,", " ( 0 , ");
        assert_eq!(read(&other).unwrap(), [Said::Hello]);
        let moved = r#"pLPCommand7("start",1,"p");pRTLPCB7(0,[{"t":"c","d":{"t":"r","d":"s-2.a.test"}}])"#;
        assert_eq!(read(moved).unwrap(), [Said::Reset("s-2.a.test".to_owned())]);
    }

    #[test]
    fn a_script_that_is_cut_off_anywhere_is_none() {
        let last = WHOLE.rfind(')').unwrap();
        for end in 0..=last {
            assert!(read(&WHOLE[..end]).is_err(), "{}", &WHOLE[..end]);
        }
        assert!(read(&WHOLE[..=last]).is_ok());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_stop(text in "\\PC{0,200}", at in 0usize..200) {
            let _ = read(&text);
            let at = WHOLE.floor_char_boundary(at.min(WHOLE.len()));
            let _ = read(&format!("{}{text}{}", &WHOLE[..at], &WHOLE[at..]));
        }
    }
}
