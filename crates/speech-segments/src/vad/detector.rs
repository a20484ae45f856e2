//! The end-point state machine.

use std::ops::Range;

use super::frames::{Frames, VadError};
use super::options::{Utterances, VadOptions};
use super::window::{Change, Window};
use crate::ConfigError;

/// The loudness of noise before there was any.
const NO_NOISE: f64 = -100.0;

/// When segments are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// When they are complete; the end of the audio completes the last one.
    Offline,
    /// Their start as soon as it is known, and their end when it is.
    Streaming,
}

/// A segment of speech, or what is new of it, in ms from the beginning of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// When it starts; none if that was told before.
    pub start_ms: Option<i64>,
    /// When it ends; none if that is not known yet.
    pub end_ms: Option<i64>,
}

impl Event {
    /// As FunASR writes it: `[start, end]`, with -1 for what was told before or is not known yet.
    #[must_use]
    pub fn pair(self) -> [i64; 2] {
        [self.start_ms, self.end_ms].map(|ms| ms.unwrap_or(-1))
    }
}

/// What is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No speech yet.
    Waiting,
    /// A segment is open.
    Speaking,
    /// With [`Utterances::One`]: nothing is looked for any more.
    Over,
}

/// A segment, in frames.
type Segment = Range<i64>;

/// Finds where speech begins and ends in one stream.
///
/// ```
/// use speech_segments::vad::{Detector, Event, Frames, Mode, VadOptions};
///
/// let mut detector = Detector::new(VadOptions::default(), Mode::Offline)?;
/// // Half a second of silence, one of speech, one of silence: how probable silence is, and the only other class.
/// let scores: Vec<f32> = (0..250)
///     .flat_map(|frame| if (50..150).contains(&frame) { [0.1, 0.9] } else { [0.95, 0.05] })
///     .collect();
/// let frames = Frames { scores: &scores, classes: 2, decibels: &[-20.0; 250] };
/// let mut events = Vec::new();
/// detector.push(frames, true, &mut events)?;
/// assert_eq!(events, [Event { start_ms: Some(240), end_ms: Some(1660) }]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Detector {
    options: VadOptions,
    mode: Mode,
    stream: Stream,
}

/// What is known of the stream.
#[derive(Clone, Debug)]
struct Stream {
    window: Window,
    phase: Phase,
    /// Frames so far.
    frames: i64,
    /// The first frame that no segment has and that was not given up: where the next segment may start.
    free: i64,
    /// The last frame that is speech for certain; 0 before a segment's first.
    speech: i64,
    /// Frames of silence on end.
    silence: i64,
    /// How loud it is without speech.
    noise: f64,
    /// The segment under way.
    open: Option<Segment>,
    /// Its start was told.
    told: bool,
    complete: Vec<Segment>,
}

impl Stream {
    fn new(options: &VadOptions) -> Self {
        Self {
            window: Window::new(options),
            phase: Phase::Waiting,
            frames: 0,
            free: 0,
            speech: 0,
            silence: 0,
            noise: NO_NOISE,
            open: None,
            told: false,
            complete: Vec::new(),
        }
    }
}

impl Detector {
    /// A detector at the beginning of a stream.
    ///
    /// # Errors
    /// When the options make no sense.
    pub fn new(options: VadOptions, mode: Mode) -> Result<Self, ConfigError> {
        options.validate()?;
        let stream = Stream::new(&options);
        Ok(Self {
            options,
            mode,
            stream,
        })
    }

    /// The options it has.
    #[must_use]
    pub fn options(&self) -> &VadOptions {
        &self.options
    }

    /// Takes the next frames and appends what they tell to `events`. With `last`, the stream ends with them: what is open is told,
    /// and the detector is at the beginning of another stream.
    ///
    /// A segment that starts with a stream's last frame has no end in [`Mode::Streaming`], as in FunASR.
    ///
    /// # Errors
    /// When the frames cannot be used; then nothing was taken of them.
    pub fn push(
        &mut self,
        frames: Frames<'_>,
        last: bool,
        events: &mut Vec<Event>,
    ) -> Result<(), VadError> {
        let silence = frames.silence(&self.options, self.stream.frames)?;
        let count = silence.len();
        let frames = silence.into_iter().zip(frames.decibels);
        for (index, (silence, &decibel)) in frames.enumerate() {
            self.frame(silence, decibel, last && index + 1 == count);
        }
        if last && count == 0 {
            self.finish(events);
            return Ok(());
        }
        self.tell(last, events);
        if last {
            self.reset();
        }
        Ok(())
    }

    /// Ends the stream without another frame, as [`Detector::push`] does with no frames.
    pub fn finish(&mut self, events: &mut Vec<Event>) {
        // There is no last frame to end it with.
        let open = self.stream.open.take();
        self.stream.complete.extend(open);
        self.tell(true, events);
        self.reset();
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.stream = Stream::new(&self.options);
    }

    fn frame(&mut self, silence: f32, decibel: f64, last: bool) {
        let speech = if decibel < self.options.decibel_thres {
            // FunASR counts such a frame twice, so the silence of a recording with a threshold is half as long. It is no good, but
            // thresholds were chosen with it.
            self.look_at(false, false);
            false
        } else {
            self.is_speech(silence, decibel)
        };
        self.look_at(speech, last);
        self.stream.frames += 1;
    }

    /// Whether a frame is speech.
    fn is_speech(&mut self, silence: f32, decibel: f64) -> bool {
        let options = &self.options;
        // By way of logarithms, as FunASR does: what is on the edge falls to the same side.
        let power = f64::from(silence).ln() * options.speech_2_noise_ratio;
        let (silent, speech) = (power.exp(), f64::from(1.0 - silence).ln().exp());
        let stream = &mut self.stream;
        if speech >= silent + options.speech_noise_thres {
            return decibel - stream.noise >= options.snr_thres
                && decibel >= options.decibel_thres
                && options.fe_prior_thres < 1.0;
        }
        let frames = f64::from(options.noise_frame_num_used_for_snr);
        stream.noise = if stream.noise < -99.9 {
            decibel
        } else {
            (decibel + stream.noise * (frames - 1.0)) / frames
        };
        false
    }

    /// Takes a frame through the window and the state machine.
    fn look_at(&mut self, speech: bool, last: bool) {
        let frame = self.stream.frames;
        let change = self.stream.window.push(speech);
        self.stream.silence = match change {
            Change::Silence => self.stream.silence + 1,
            _ => 0,
        };
        match (self.stream.phase, change) {
            (Phase::Waiting, Change::Begins) => self.begin(frame),
            (Phase::Waiting, Change::Silence) => self.wait(frame),
            (Phase::Speaking, Change::Silence) => self.pause(frame, last),
            (Phase::Speaking, _) => {
                if change == Change::Begins {
                    // What was thought to be a pause was none.
                    self.take(self.stream.speech + 1..frame);
                }
                if self.is_too_long(frame) || last {
                    self.end(frame);
                } else {
                    self.take(frame..frame + 1);
                }
            }
            _ => {}
        }
    }

    /// Speech has begun, some time before it was noticed.
    fn begin(&mut self, frame: i64) {
        let start = self.stream.free.max(frame - self.delay());
        self.stream.phase = Phase::Speaking;
        self.stream.open = Some(start..start + 1);
        self.stream.free = start + 1;
        self.take(start + 1..frame + 1);
    }

    /// No speech yet.
    fn wait(&mut self, frame: i64) {
        let delay = self.delay();
        let Self {
            options, stream, ..
        } = self;
        let waited = stream.silence * i64::from(options.frame_in_ms);
        if options.detect_mode == Utterances::One
            && waited > i64::from(options.max_start_silence_time)
        {
            stream.phase = Phase::Over;
            return;
        }
        stream.free = stream.free.max(frame - delay);
    }

    /// Silence in a segment.
    fn pause(&mut self, frame: i64, last: bool) {
        let options = &self.options;
        let ms = i64::from(options.frame_in_ms);
        // So much is left when the window has noticed the silence.
        let wanted =
            i64::from(options.max_end_silence_time) - i64::from(options.speech_to_sil_time_thres);
        let lookahead = i64::from(options.lookahead_time_end_point) / ms;
        if self.stream.silence * ms >= wanted {
            let mut back = wanted / ms;
            if options.do_extend {
                back -= lookahead + 1;
            }
            self.end(frame - back.max(0));
        } else if self.is_too_long(frame) || last {
            self.end(frame);
        } else if options.do_extend && self.stream.silence <= lookahead {
            self.take(frame..frame + 1);
        }
    }

    fn is_too_long(&self, frame: i64) -> bool {
        let start = self.stream.open.as_ref().map_or(frame, |open| open.start);
        (frame - start + 1) * i64::from(self.options.frame_in_ms)
            > i64::from(self.options.max_single_segment_time)
    }

    /// Frames by which speech is noticed late.
    fn delay(&self) -> i64 {
        let options = &self.options;
        let lookback = if options.do_extend {
            options.frames(options.lookback_time_start_point)
        } else {
            0
        };
        frames(options.window_frames()) + frames(lookback)
    }

    /// The segment has these frames, one after the other.
    fn take(&mut self, taken: Segment) {
        if taken.is_empty() {
            return;
        }
        let stream = &mut self.stream;
        stream.speech = taken.end - 1;
        // Each frame that is taken moves on what is free, even one that was taken before.
        stream.free = (stream.free + (taken.end - taken.start)).max(taken.end);
        if let Some(open) = &mut stream.open {
            open.end = taken.end;
        }
    }

    /// The segment ends with this frame.
    fn end(&mut self, frame: i64) {
        self.take(self.stream.speech + 1..frame);
        let stream = &mut self.stream;
        stream.free = stream.free.max(frame) + 1;
        if let Some(open) = stream.open.take() {
            // A frame that counts twice can end a segment before it starts.
            stream
                .complete
                .push(open.start..(frame + 1).max(open.start));
        }
        stream.phase = match self.options.detect_mode {
            Utterances::One => Phase::Over,
            Utterances::All => Phase::Waiting,
        };
        if stream.phase == Phase::Waiting {
            stream.window.reset();
            stream.silence = 0;
            stream.speech = 0;
        }
    }

    /// Appends what is to be told.
    fn tell(&mut self, last: bool, events: &mut Vec<Event>) {
        let Self {
            options,
            mode,
            stream,
        } = self;
        let ms = |frame: i64| frame * i64::from(options.frame_in_ms);
        for Segment { start, end } in stream.complete.drain(..) {
            let told = std::mem::take(&mut stream.told);
            events.push(Event {
                start_ms: (!told).then(|| ms(start)),
                end_ms: Some(ms(end)),
            });
        }
        let Some(open) = &stream.open else {
            return;
        };
        match mode {
            Mode::Streaming if !stream.told => {
                stream.told = true;
                events.push(Event {
                    start_ms: Some(ms(open.start)),
                    end_ms: None,
                });
            }
            Mode::Offline if last => events.push(Event {
                start_ms: Some(ms(open.start)),
                end_ms: Some(ms(open.end)),
            }),
            _ => {}
        }
    }
}

/// A number of frames; none of the options' is beyond i64.
fn frames(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
