//! What models say of a stream's chunks, as events, and where a stream may be begun anew.

use speech_segments::sentences::join;
use transcripts::{Message, Segment, TwoPass};

use super::events::{Event, Final, Partial};
use super::seam::Seam;
use crate::triton::{CallError, Model};

pub(super) const SEGMENT_ID: &str = "SEGMENT_ID";
const RESULT_JSON: &str = "RESULT_JSON";
const TRANSCRIPTS: &str = "TRANSCRIPTS";

/// So long after a word began, `two_pass` has told something of it: its voice detector notices within half a second, its first pass has a word
/// with a window and what follows it.
const NOTICED_MS: u64 = 3000;

/// Whether a model hears its segments twice.
pub(super) fn is_two_pass(model: &Model) -> bool {
    model.says(SEGMENT_ID) && model.says(RESULT_JSON)
}

/// Makes events of a model's answers.
#[derive(Debug)]
pub(super) struct Reader {
    model: String,
    two_pass: bool,
    /// Samples a second.
    rate: u64,
    /// Where the sequence began, in samples from the stream's beginning.
    base: u64,
    /// How much of the sequence was answered, in samples.
    answered: u64,
    /// The number of the sequence's first segment.
    first_segment: u64,
    /// The number of the next segment to be opened.
    next_segment: u64,
    open: Option<Partial>,
    /// `two_pass` has a segment open, though it may have told nothing of it yet.
    speaking: bool,
    /// Where what a plain model says goes on behind what was told.
    seam: Seam,
    /// Where the last segment ended, in milliseconds from the stream's beginning.
    last_end_ms: u64,
    /// The last letter of what is told for good.
    last_letter: Option<char>,
}

impl Reader {
    pub(super) fn new(model: &Model, rate: u32) -> Self {
        Self {
            model: model.name.clone(),
            two_pass: is_two_pass(model),
            rate: u64::from(rate),
            base: 0,
            answered: 0,
            first_segment: 0,
            next_segment: 0,
            open: None,
            speaking: false,
            seam: Seam::default(),
            last_end_ms: 0,
            last_letter: None,
        }
    }

    /// Whether it makes segments of a stream.
    pub(super) fn is_two_pass(&self) -> bool {
        self.two_pass
    }

    /// The output that is read.
    pub(super) fn output(&self) -> &'static str {
        if self.two_pass {
            RESULT_JSON
        } else {
            TRANSCRIPTS
        }
    }

    /// Takes what a chunk's answer adds. What a plain model's text has more then.
    ///
    /// # Errors
    /// If it is no such answer.
    pub(super) fn take(
        &mut self,
        said: &str,
        samples: usize,
        is_last: bool,
        events: &mut Vec<Event>,
    ) -> Result<String, CallError> {
        self.answered += samples as u64;
        let mut added = String::new();
        if self.two_pass {
            let document = TwoPass::parse(said).map_err(|_| CallError::Answer {
                model: self.model.clone(),
                output: "document of two passes in RESULT_JSON".to_owned(),
            })?;
            self.speaking = document.speaking;
            for message in document.messages {
                self.message(message, events);
            }
        } else {
            added = self.seam.behind(said);
            self.words(&added, samples, events);
            if is_last {
                self.close(events);
            }
        }
        Ok(added)
    }

    /// New text of a plain model.
    fn words(&mut self, added: &str, samples: usize, events: &mut Vec<Event>) {
        if added.is_empty() {
            return;
        }
        let end = self.base + self.answered;
        let (start_ms, end_ms) = (self.ms(end - samples as u64), self.ms(end));
        let partial = self.open.get_or_insert_with(|| Partial {
            segment: self.next_segment,
            start_ms,
            end_ms,
            text: String::new(),
            added: String::new(),
            gap: gap(self.last_letter, added),
        });
        self.next_segment = partial.segment + 1;
        partial.end_ms = end_ms;
        partial.text.push_str(added);
        added.clone_into(&mut partial.added);
        events.push(Event::Partial(partial.clone()));
    }

    /// A message of `two_pass`.
    fn message(&mut self, message: Message, events: &mut Vec<Event>) {
        let offset = self.ms(self.base);
        let segment = self.first_segment + message.segment_id;
        self.next_segment = self.next_segment.max(segment + 1);
        let (start_ms, end_ms) = (message.start_ms + offset, message.end_ms + offset);
        let gap = gap(self.last_letter, &message.text);
        if message.is_final {
            self.open = None;
            self.last_end_ms = end_ms;
            self.last_letter = message.text.chars().last().or(self.last_letter);
            let mut sentences = message.sentences;
            for sentence in &mut sentences {
                sentence.start_ms += offset;
                sentence.end_ms += offset;
            }
            events.push(Event::Final(Box::new(Final {
                segment,
                start_ms,
                end_ms,
                text: message.text,
                gap,
                sentences,
                heard: message.segment.map(|segment| later(segment, offset)),
            })));
            return;
        }
        let partial = Partial {
            segment,
            start_ms,
            end_ms,
            text: message.text,
            added: message.delta,
            gap,
        };
        self.open = Some(partial.clone());
        if !partial.added.is_empty() {
            events.push(Event::Partial(partial));
        }
    }

    /// Makes the text so far of the open segment its last.
    fn close(&mut self, events: &mut Vec<Event>) {
        let Some(partial) = self.open.take() else {
            return;
        };
        self.last_end_ms = partial.end_ms;
        self.last_letter = partial.text.chars().last().or(self.last_letter);
        events.push(Event::Final(Box::new(Final {
            segment: partial.segment,
            start_ms: partial.start_ms,
            end_ms: partial.end_ms,
            text: partial.text,
            gap: partial.gap,
            sentences: Vec::new(),
            heard: None,
        })));
    }

    /// A plain model heard again what was told of, and said this.
    pub(super) fn heard_again(&mut self, told: &str, said: &str) {
        if !self.two_pass {
            self.seam = Seam::of(told, said);
        }
    }

    /// Where a new sequence of `two_pass` may begin, in samples from where this one did, if no segment is open.
    pub(super) fn settled(&self) -> Option<u64> {
        let noticed = self.ms(self.base + self.answered);
        let from = noticed.saturating_sub(NOTICED_MS).max(self.last_end_ms);
        let place = (from * self.rate).div_ceil(1000).checked_sub(self.base)?;
        let is_within = (1..=self.answered).contains(&place);
        let is_open = self.open.is_some() || self.speaking;
        (self.two_pass && !is_open && is_within).then_some(place)
    }

    /// Where `two_pass` may go on if the open segment's beginning cannot be heard again: behind the text so far, which becomes its last.
    pub(super) fn give_up_open(&mut self, events: &mut Vec<Event>) -> u64 {
        self.close(events);
        let end = (self.last_end_ms * self.rate).div_ceil(1000);
        end.saturating_sub(self.base).min(self.answered)
    }

    /// A new sequence begins at this place of the old one.
    pub(super) fn begin_anew(&mut self, place: u64, events: &mut Vec<Event>) {
        self.close(events);
        self.base += place;
        self.answered = 0;
        self.speaking = false;
        self.first_segment = self.next_segment;
    }

    fn ms(&self, samples: u64) -> u64 {
        samples * 1000 / self.rate
    }
}

/// What belongs between two texts.
fn gap(before: Option<char>, text: &str) -> &'static str {
    let mut joined: String = before.into_iter().collect();
    let length = joined.len();
    join(&mut joined, text);
    if before.is_some() && joined.len() > length + text.len() {
        " "
    } else {
        ""
    }
}

fn later(mut segment: Segment, offset: u64) -> Segment {
    segment.start_ms += offset;
    segment.end_ms += offset;
    for word in &mut segment.words {
        word.start_ms = word.start_ms.map(|ms| ms + offset);
        word.end_ms = word.end_ms.map(|ms| ms + offset);
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triton::{Role, tests_of_models::model};

    const CHUNK: usize = 9600;

    fn reader(two_pass: bool) -> Reader {
        let mut reader = Reader::new(&model("m", Role::Stream), 16_000);
        reader.two_pass = two_pass;
        reader
    }

    /// Segment, start, end, what is told; a final text has a full stop here.
    fn told(events: &[Event]) -> Vec<(u64, u64, u64, String)> {
        let short = |event: &Event| match event {
            Event::Partial(own) => {
                let text = format!("{}{}", own.gap, own.added);
                (own.segment, own.start_ms, own.end_ms, text)
            }
            Event::Final(own) => {
                let text = format!("{}{}.", own.gap, own.text);
                (own.segment, own.start_ms, own.end_ms, text)
            }
        };
        events.iter().map(short).collect()
    }

    fn row(segment: u64, start: u64, end: u64, text: &str) -> (u64, u64, u64, String) {
        (segment, start, end, text.to_owned())
    }

    #[test]
    fn a_plain_streams_text_is_one_segment_that_grows() {
        let mut reader = reader(false);
        let mut events = Vec::new();
        for said in ["", "good", " day", ""] {
            let added = reader.take(said, CHUNK, false, &mut events).unwrap();
            assert_eq!((added.as_str(), reader.settled()), (said, None));
        }
        // Another server has not told the last word yet when it has heard the same.
        reader.heard_again("good day", "good");
        let added = reader.take(" day all", 100, true, &mut events).unwrap();
        assert_eq!(added, " all");
        let expected = [
            row(0, 600, 1200, "good"),
            row(0, 600, 1800, " day"),
            row(0, 600, 2406, " all"),
            row(0, 600, 2406, "good day all."),
        ];
        assert_eq!(told(&events), expected);
    }

    #[test]
    fn segments_count_on_when_two_passes_are_begun_anew() {
        let mut reader = reader(true);
        let mut events = Vec::new();
        let partial = r#"{"messages": [{"segment_id": 0, "is_final": false, "start_ms": 100, "end_ms": 600, "text": "红", "delta": "红"}]}"#;
        let last = r#"{"messages": [{"segment_id": 0, "is_final": true, "start_ms": 100, "end_ms": 900, "text": "红色。",
            "sentences": [{"start_ms": 110, "end_ms": 800, "text": "红色。"}],
            "segment": {"start_ms": 100, "end_ms": 900, "text": "红色", "language": "zh", "words": [{"text": "红", "start_ms": 110, "end_ms": 200}]}}]}"#;
        reader.take(partial, CHUNK, false, &mut events).unwrap();
        assert_eq!(reader.settled(), None);
        reader.take("{}", CHUNK, false, &mut events).unwrap();
        reader.take(last, CHUNK, false, &mut events).unwrap();
        // 900 ms: what is final is not heard again.
        assert_eq!(reader.settled(), Some(14_400));
        reader.begin_anew(14_400, &mut events);
        assert_eq!(reader.settled(), None);
        reader.take(last, CHUNK, true, &mut events).unwrap();
        let expected = [
            row(0, 100, 600, "红"),
            row(0, 100, 900, "红色。."),
            row(1, 1000, 1800, "红色。."),
        ];
        assert_eq!(told(&events), expected);
        let Some(Event::Final(own)) = events.last() else {
            panic!("no final text")
        };
        let heard = own.heard.as_ref().unwrap();
        let times = (
            own.sentences[0].end_ms,
            heard.start_ms,
            heard.words[0].start_ms,
        );
        assert_eq!(times, (1700, 1000, Some(1010)));
        // Long after it, what nobody noticed so far is heard again.
        for _ in 0..10 {
            reader.take("{}", CHUNK, false, &mut events).unwrap();
        }
        assert_eq!(reader.settled(), Some(11 * 9600 - 3 * 16_000));
        // Somebody speaks, and nothing of it was understood.
        let said = r#"{"speaking": true}"#;
        reader.take(said, CHUNK, false, &mut events).unwrap();
        assert_eq!(reader.settled(), None);
        reader.take("{}", CHUNK, false, &mut events).unwrap();
        assert!(reader.settled().is_some());
    }

    #[test]
    fn a_segment_whose_beginning_is_lost_ends_with_what_was_told() {
        let mut reader = reader(true);
        let mut events = Vec::new();
        let partial = r#"{"messages": [{"segment_id": 0, "is_final": false, "start_ms": 100, "end_ms": 600, "text": "good", "delta": "good"}]}"#;
        for said in [partial, "{}"] {
            reader.take(said, CHUNK, false, &mut events).unwrap();
        }
        let place = reader.give_up_open(&mut events);
        assert_eq!(place, 9600);
        reader.begin_anew(place, &mut events);
        reader.take(partial, CHUNK, false, &mut events).unwrap();
        let expected = [
            row(0, 100, 600, "good"),
            row(0, 100, 600, "good."),
            row(1, 700, 1200, " good"),
        ];
        assert_eq!(told(&events), expected);
    }

    #[test]
    fn what_is_no_document_is_an_error() {
        let error = reader(true).take("text", 1, false, &mut Vec::new());
        let error = error.unwrap_err().to_string();
        assert_eq!(
            error,
            "the answer of m has no document of two passes in RESULT_JSON"
        );
    }
}
