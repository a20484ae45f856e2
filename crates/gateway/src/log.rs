//! The gateway's log: a line on standard error. Never what was said, neither as audio nor as text, and no keys.

use std::fmt::Arguments;
use std::io::Write;
use std::time::SystemTime;

/// What happens in the ordinary course.
pub(crate) fn info(message: Arguments<'_>) {
    line("INFO ", message);
}

/// What an operator should know.
pub(crate) fn warn(message: Arguments<'_>) {
    line("WARN ", message);
}

fn line(level: &str, message: Arguments<'_>) {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let (seconds, ms) = (now.as_secs(), now.subsec_millis());
    // A reader that has gone is no reason to stop serving.
    let _ = writeln!(
        std::io::stderr(),
        "{}.{ms:03}Z {level} gateway: {message}",
        utc(seconds)
    );
}

/// As in `2026-05-01T10:00:00`, from the seconds since 1970. The date by Howard Hinnant's `civil_from_days`.
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn dates() {
        // As `date -u -d @SECONDS` has them.
        assert_eq!(utc(0), "1970-01-01T00:00:00");
        assert_eq!(utc(951_827_696), "2000-02-29T12:34:56");
        assert_eq!(utc(1_798_761_599), "2026-12-31T23:59:59");
    }
}
