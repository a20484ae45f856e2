//! One recording, from its samples to its sentences.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use speech_segments::sentences::{Sentence, Sentences, Span};
use triton_backend::{Error, ErrorCode, Reply, Request};

use super::calls::{Calls, Purpose};
use super::model::Model;
use super::result::{Progress, Told};
use super::window::{Cut, cut};
use crate::metrics::{TIMEOUT, Taken};
use crate::pipelines::scheduler::queue::is_late;
use crate::pipelines::segments::{Failed, Heard, RESULT_JSON, for_marks, marked, of_samples};
use crate::pipelines::vad::SEGMENTS_MS;
use crate::steps::itn::Itn;

/// Samples decoded at a time: a whole number of frames.
const PIECE: usize = 128_000;
/// How often it is looked whether the client still waits.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Words that are given marks together, at least: fewer calls, and what comes of a recording does not depend on when its segments come back.
const WORDS_FOR_MARKS: usize = 100;

/// Transcribes the recording of a request. What is told is everything, or, of a decoupled model, what was not told before.
pub(super) fn transcribe(
    model: &Model,
    request: &Request,
    deadline: Option<Instant>,
) -> Result<(Told, Progress), Error> {
    let mut recording = Recording::new(model, request, deadline)?;
    let mut take = |samples: &[f32]| recording.take(samples);
    model.reader.pieces(request, PIECE, &mut take)?;
    recording.finish()
}

struct Recording<'r> {
    model: &'r Model,
    request: &'r Request,
    deadline: Option<Instant>,
    taken: Taken,
    calls: Calls<'r>,
    /// Where numbers are to be written.
    itn: Option<&'r Itn>,
    window: Vec<f32>,
    /// Samples before the window.
    before: u64,
    /// What `vad` said of the window.
    segments: Option<Result<Reply, Error>>,
    /// Segments whose texts are not told yet, in their order.
    waiting: VecDeque<Segment>,
    /// The number of the first of them.
    first: usize,
    /// Samples that the recogniser has.
    in_flight: usize,
    /// Texts that wait for marks, in their order.
    unmarked: VecDeque<(Heard, Span)>,
    sentences: Sentences,
    marking: Option<Marking>,
    told: Told,
    done_ms: u64,
    heard: usize,
    failed: Option<Error>,
}

struct Segment {
    span: Span,
    samples: usize,
    heard: Option<Result<Heard, Error>>,
}

/// A call for marks that is under way.
struct Marking {
    text: String,
    /// Nothing follows.
    last: bool,
}

impl<'r> Recording<'r> {
    fn new(
        model: &'r Model,
        request: &'r Request,
        deadline: Option<Instant>,
    ) -> Result<Self, Error> {
        let itn = match &model.itn {
            Some(itn) if itn.wanted(request, 1)? == [true] => Some(&**itn),
            _ => None,
        };
        Ok(Self {
            itn,
            model,
            request,
            deadline,
            taken: model.meter.begins(request),
            calls: Calls::new(&model.caller),
            window: Vec::new(),
            before: 0,
            segments: None,
            waiting: VecDeque::new(),
            first: 0,
            in_flight: 0,
            unmarked: VecDeque::new(),
            sentences: Sentences::default(),
            marking: None,
            told: Told::default(),
            done_ms: 0,
            heard: 0,
            failed: None,
        })
    }

    /// Takes the next samples.
    fn take(&mut self, samples: &[f32]) -> Result<(), Error> {
        self.check_client()?;
        if self.window.len() + samples.len() > self.model.options.window {
            self.look(false)?;
        }
        self.window.extend_from_slice(samples);
        self.taken.takes(samples.len());
        Ok(())
    }

    /// Waits for all that is to come.
    fn finish(mut self) -> Result<(Told, Progress), Error> {
        self.look(true)?;
        while !self.waiting.is_empty() {
            self.wait()?;
        }
        loop {
            self.mark(true)?;
            if self.marking.is_none() {
                break;
            }
            self.wait()?;
        }
        if let (0, Some(error)) = (self.heard, self.failed.take()) {
            return Err(error);
        }
        let progress = self.progress(true);
        self.taken.answered();
        Ok((self.told, progress))
    }

    /// Looks through the window for speech, and keeps what is to be looked at again.
    fn look(&mut self, last: bool) -> Result<(), Error> {
        let length = self.window.len();
        if length == 0 {
            return Ok(());
        }
        let vad = &self.model.options.vad;
        let call = of_samples(vad, &self.window)?.output(SEGMENTS_MS);
        self.calls.send(Purpose::Segments, call);
        let reply = loop {
            if let Some(reply) = self.segments.take() {
                break reply?;
            }
            self.wait()?;
        };
        let output = reply.output(SEGMENTS_MS)?;
        let times = output.read::<i32>()?;
        let span = |pair: &[i32]| match *pair {
            [start, end] => Some(Span {
                start_ms: u64::try_from(start).ok()?,
                end_ms: u64::try_from(end).ok()?,
            }),
            _ => None,
        };
        let spans: Vec<Span> = times.chunks_exact(2).filter_map(span).collect();
        let Cut { stand, next_ms } = cut(&spans, self.model.ms(length), last);
        for span in &spans[..stand] {
            // What comes behind is heard with the next window.
            let end_ms = span.end_ms.min(next_ms);
            self.send(Span { end_ms, ..*span })?;
        }
        let next = self.model.samples(next_ms).min(length);
        self.window.drain(..next);
        self.before += next as u64;
        Ok(())
    }

    /// Sends a segment of the window to the recogniser, as soon as that may have it.
    fn send(&mut self, span: Span) -> Result<(), Error> {
        let model = self.model;
        let end = model.samples(span.end_ms).min(self.window.len());
        let start = model.samples(span.start_ms).min(end);
        let samples = end - start;
        if samples == 0 {
            return Ok(());
        }
        while self.in_flight > 0 && self.in_flight + samples > model.options.in_flight {
            self.wait()?;
        }
        self.check_client()?;
        let mut call = of_samples(&model.options.recogniser, &self.window[start..end])?;
        for (name, data_type) in &model.others {
            match self.request.input(name) {
                Ok(input) => {
                    let bytes = input.bytes()?.into_owned();
                    call = call.input_bytes(name, *data_type, input.shape(), bytes);
                }
                Err(Error::MissingInput { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let number = self.first + self.waiting.len();
        let before = self.before.saturating_mul(1000) / u64::from(model.options.rate);
        self.waiting.push_back(Segment {
            span: Span {
                start_ms: before + span.start_ms,
                end_ms: before + model.ms(end).min(span.end_ms),
            },
            samples,
            heard: None,
        });
        self.in_flight += samples;
        self.calls
            .send(Purpose::Text(number), call.output(RESULT_JSON));
        Ok(())
    }

    /// Waits for an answer, at most for a moment, and tells what it makes known.
    fn wait(&mut self) -> Result<(), Error> {
        self.check_client()?;
        match self.calls.wait(LOOK_EVERY) {
            None => return Ok(()),
            Some((Purpose::Segments, reply)) => self.segments = Some(reply),
            Some((Purpose::Text(number), reply)) => self.recognised(number, reply),
            Some((Purpose::Marks, reply)) => self.marked(reply)?,
        }
        while let Some(segment) = self.waiting.pop_front_if(|first| first.heard.is_some()) {
            self.first += 1;
            self.done_ms = segment.span.end_ms;
            match segment.heard {
                Some(Ok(mut heard)) => {
                    self.heard += 1;
                    self.told.segment(&mut heard);
                    self.unmarked.push_back((heard, segment.span));
                }
                Some(Err(error)) => self.fails(segment.span, error)?,
                None => {}
            }
        }
        self.mark(false)?;
        self.tell()
    }

    fn recognised(&mut self, number: usize, reply: Result<Reply, Error>) {
        let segment = number.checked_sub(self.first);
        let Some(segment) = segment.and_then(|index| self.waiting.get_mut(index)) else {
            return;
        };
        let recogniser = &self.model.options.recogniser;
        let heard = reply.and_then(|reply| Heard::read(recogniser, &reply, segment.span));
        segment.heard = Some(heard);
        self.in_flight -= segment.samples;
    }

    /// Makes sentences of what was heard, or lets marks be made.
    fn mark(&mut self, ending: bool) -> Result<(), Error> {
        let Some(punctuation) = &self.model.options.punctuation else {
            while let Some((heard, span)) = self.unmarked.pop_front() {
                self.sentences.push(&heard.text, &heard.words, span);
                let text = self.sentences.text();
                let sentences = self.sentences.finish(&text, true);
                self.tell_sentences(sentences);
            }
            return Ok(());
        };
        if self.marking.is_some() {
            return Ok(());
        }
        while self.sentences.new_words() < WORDS_FOR_MARKS {
            match self.unmarked.pop_front() {
                Some((heard, span)) => self.sentences.push(&heard.text, &heard.words, span),
                None => break,
            }
        }
        let enough = self.sentences.new_words() >= WORDS_FOR_MARKS;
        let text = self.sentences.text();
        if enough || (ending && !text.is_empty()) {
            self.calls
                .send(Purpose::Marks, for_marks(punctuation, &text));
            let last = !enough;
            self.marking = Some(Marking { text, last });
        }
        Ok(())
    }

    fn marked(&mut self, reply: Result<Reply, Error>) -> Result<(), Error> {
        let Some(Marking { text, last }) = self.marking.take() else {
            return Ok(());
        };
        let marked = reply.and_then(|reply| marked(&reply));
        let sentences = match marked {
            Ok(marked) => self.sentences.finish(&marked, last),
            Err(error) => {
                // Without marks, nothing of the text is lost.
                if let Some(span) = self.sentences.span() {
                    self.fails(span, error)?;
                }
                self.sentences.finish(&text, true)
            }
        };
        self.tell_sentences(sentences);
        Ok(())
    }

    /// Tells sentences, with their numbers as they are written where that is wanted.
    fn tell_sentences(&mut self, mut sentences: Vec<Sentence>) {
        if let Some(itn) = self.itn {
            for sentence in &mut sentences {
                sentence.text = itn.written(&sentence.text);
            }
        }
        self.told.sentences(sentences);
    }

    /// A part of the recording failed.
    fn fails(&mut self, span: Span, error: Error) -> Result<(), Error> {
        let Span { start_ms, end_ms } = span;
        match self.model.options.failed {
            Failed::Refuse => Err(error.context(format_args!("{start_ms} ms to {end_ms} ms"))),
            Failed::Report => {
                self.told.problem(span, &error);
                self.failed.get_or_insert(error);
                Ok(())
            }
        }
    }

    /// Tells what is new, where that is wanted.
    fn tell(&mut self) -> Result<(), Error> {
        if !self.model.decoupled || self.told.is_nothing() {
            return Ok(());
        }
        let told = std::mem::take(&mut self.told);
        let request = self.request;
        let mut response = request.response()?;
        told.write(
            &mut response,
            |name| request.wants(name),
            self.progress(false),
        )?;
        request.send(response)
    }

    fn progress(&self, is_final: bool) -> Progress {
        let samples = self.before + self.window.len() as u64;
        let audio_ms = samples.saturating_mul(1000) / u64::from(self.model.options.rate);
        Progress {
            audio_ms,
            done_ms: if is_final { audio_ms } else { self.done_ms },
            is_final,
        }
    }

    /// An error if nobody waits for the recording any more.
    fn check_client(&self) -> Result<(), Error> {
        if self.request.is_cancelled() {
            return Err(Error::cancelled());
        }
        match is_late(self.deadline) {
            true => Err(Error::new(
                ErrorCode::Unavailable,
                "the request's timeout was over before all of the recording was transcribed",
            )
            .because(TIMEOUT)),
            false => Ok(()),
        }
    }
}
