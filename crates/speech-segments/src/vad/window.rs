//! The window that says when speech has begun or ended: single frames decide nothing.

use super::options::VadOptions;

/// What a frame changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It was silent and is speech now.
    Begins,
    /// It was speech and is silent now.
    Stops,
    /// It stays speech.
    Speech,
    /// It stays silent.
    Silence,
}

/// The last frames, and whether they are speech.
#[derive(Clone, Debug)]
pub(super) struct Window {
    frames: Vec<bool>,
    /// The oldest frame, which the next one takes the place of.
    oldest: usize,
    /// Frames of speech among them.
    speech: usize,
    speaking: bool,
    /// So much speech begins it.
    begins: usize,
    /// So little ends it.
    stops: usize,
}

impl Window {
    pub(super) fn new(options: &VadOptions) -> Self {
        Self {
            frames: vec![false; options.window_frames()],
            oldest: 0,
            speech: 0,
            speaking: false,
            begins: options.frames(options.sil_to_speech_time_thres),
            stops: options.frames(options.speech_to_sil_time_thres),
        }
    }

    pub(super) fn reset(&mut self) {
        self.frames.fill(false);
        self.oldest = 0;
        self.speech = 0;
        self.speaking = false;
    }

    pub(super) fn push(&mut self, speech: bool) -> Change {
        if let Some(oldest) = self.frames.get_mut(self.oldest) {
            self.speech = self.speech + usize::from(speech) - usize::from(*oldest);
            *oldest = speech;
        }
        self.oldest = (self.oldest + 1) % self.frames.len().max(1);
        match (self.speaking, self.speech) {
            (false, count) if count >= self.begins => {
                self.speaking = true;
                Change::Begins
            }
            (true, count) if count <= self.stops => {
                self.speaking = false;
                Change::Stops
            }
            (true, _) => Change::Speech,
            (false, _) => Change::Silence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_begins_with_fifteen_frames_of_twenty_and_stops_at_fifteen() {
        let mut window = Window::new(&VadOptions::default());
        let change = |frames: usize, speech| {
            let changes: Vec<Change> = (0..frames).map(|_| window.push(speech)).collect();
            changes.last().copied()
        };
        let mut change = change;
        assert_eq!(change(14, true), Some(Change::Silence));
        assert_eq!(change(1, true), Some(Change::Begins));
        assert_eq!(change(5, true), Some(Change::Speech));
        assert_eq!(change(4, false), Some(Change::Speech));
        assert_eq!(change(1, false), Some(Change::Stops));
        assert_eq!(change(1, false), Some(Change::Silence));
    }
}
