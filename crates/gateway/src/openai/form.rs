//! The form of a transcription: what OpenAI's API calls its fields.

use std::time::Duration;

use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use axum::http::StatusCode;
use tokio::time::timeout;

use super::error::ApiError;
use super::format::Format;
use super::unread::{AROUND_A_FILE, Unread};
use crate::gate::LINGER;
use crate::language::Language;
use crate::limits::Memory;
use crate::options::Options;
use crate::triton::FileBytes;

/// The longest value of a field that is no file.
const LONGEST_VALUE: usize = 64 << 10;

/// What there is too much of then is in no field.
const NO_BOUNDARY: &str = "the form cannot be read: a megabyte of it is in no field; its boundary is the one that the header Content-Type names";

/// The largest form.
pub(super) fn largest(options: &Options) -> usize {
    options.max_file_bytes().saturating_add(AROUND_A_FILE)
}

/// What a client wants.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) file: FileBytes,
    pub(super) model: String,
    pub(super) language: Language,
    /// Words to listen for.
    pub(super) prompt: Option<String>,
    pub(super) itn: Option<bool>,
    pub(super) format: Format,
    pub(super) stream: bool,
    pub(super) words: bool,
    pub(super) segments: bool,
}

/// How large a form may be, and how slow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) file_megabytes: u32,
    pub(super) file_bytes: usize,
    pub(super) idle: Duration,
}

#[derive(Default)]
struct Fields {
    file: Option<FileBytes>,
    model: Option<String>,
    language: Option<Language>,
    prompt: Option<String>,
    hotwords: Option<String>,
    itn: Option<bool>,
    format: Option<Format>,
    stream: bool,
    words: bool,
    segments: bool,
}

impl Form {
    /// Reads a form; `memory` is taken for its file as it comes.
    pub(super) async fn read(
        mut form: Multipart,
        bounds: Bounds,
        memory: &mut Memory,
        unread: &Unread,
    ) -> Result<Self, ApiError> {
        let outcome = Fields::all(&mut form, bounds, memory, unread).await;
        let outcome = outcome.map_err(|error| match unread.is_too_much() {
            true => ApiError::form(StatusCode::BAD_REQUEST, NO_BOUNDARY),
            false => error,
        });
        if outcome.is_err() {
            // A client that is still sending when its connection closes may never see the answer.
            unread.of_no_interest();
            let rest = async { while let Ok(Some(_)) = form.next_field().await {} };
            let _ = timeout(LINGER, rest).await;
        }
        outcome?.checked()
    }
}

/// What the form gives next, within the time that a client may take for it.
async fn patient<T>(
    bounds: Bounds,
    next: impl Future<Output = Result<T, MultipartError>>,
) -> Result<T, ApiError> {
    let came = timeout(bounds.idle, next).await;
    let came = came.map_err(|_| ApiError::idle(bounds.idle.as_secs()))?;
    came.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(bounds.file_megabytes),
        _ => ApiError::form(
            StatusCode::BAD_REQUEST,
            format!("the form cannot be read: {}", error.body_text()),
        ),
    })
}

impl Fields {
    async fn all(
        form: &mut Multipart,
        bounds: Bounds,
        memory: &mut Memory,
        unread: &Unread,
    ) -> Result<Self, ApiError> {
        let mut fields = Self::default();
        while let Some(field) = patient(bounds, form.next_field()).await? {
            fields.read(field, bounds, memory, unread).await?;
        }
        Ok(fields)
    }

    async fn read(
        &mut self,
        mut field: Field<'_>,
        bounds: Bounds,
        memory: &mut Memory,
        unread: &Unread,
    ) -> Result<(), ApiError> {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            let mut file = FileBytes::new();
            while let Some(chunk) = patient(bounds, field.chunk()).await? {
                if file.len() + chunk.len() > bounds.file_bytes {
                    return Err(ApiError::too_large(bounds.file_megabytes));
                }
                memory.take(chunk.len())?;
                unread.took(chunk.len());
                file.push(&chunk);
            }
            self.file = Some(file);
            return Ok(());
        }
        let mut value = Vec::new();
        while let Some(chunk) = patient(bounds, field.chunk()).await? {
            if value.len() + chunk.len() > LONGEST_VALUE {
                let message = format!("a field of the form is longer than {LONGEST_VALUE} bytes");
                return Err(ApiError::form(StatusCode::BAD_REQUEST, message));
            }
            unread.took(chunk.len());
            value.extend_from_slice(&chunk);
        }
        self.set(&name, &String::from_utf8_lossy(&value))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), ApiError> {
        let text = || Some(value.trim().to_owned()).filter(|text| !text.is_empty());
        match name {
            "model" => self.model = text(),
            "language" => {
                let language = Language::of(value).ok_or_else(|| {
                    let codes = Language::codes();
                    ApiError::invalid("language", format!("the language {value:?} is none of {codes}; leave it away, and the model finds out"))
                })?;
                self.language = Some(language);
            }
            "prompt" => self.prompt = text(),
            "hotwords" => self.hotwords = text(),
            "itn" => self.itn = Some(truth("itn", value)?),
            "response_format" => self.format = Some(Format::of(value)?),
            "stream" => self.stream = truth("stream", value)?,
            "timestamp_granularities[]" | "timestamp_granularities" => match value.trim() {
                "word" => self.words = true,
                "segment" => self.segments = true,
                other => {
                    let message = format!("{other:?} is neither word nor segment");
                    return Err(ApiError::invalid("timestamp_granularities", message));
                }
            },
            // `temperature`, `chunking_strategy` and others: models here have nothing of the kind.
            _ => {}
        }
        Ok(())
    }

    fn checked(self) -> Result<Form, ApiError> {
        let format = self.format.unwrap_or(Format::Json);
        let file = self.file.ok_or_else(|| {
            ApiError::invalid(
                "file",
                "the form has no file; it is multipart/form-data with the field file, the audio",
            )
        })?;
        if file.is_empty() {
            return Err(ApiError::invalid("file", "the file is empty"));
        }
        if self.stream && !matches!(format, Format::Json | Format::Text) {
            let message =
                "with stream, response_format is json or text: events have the text alone";
            return Err(ApiError::invalid("response_format", message));
        }
        if (self.words || self.segments) && format != Format::VerboseJson {
            let message = "timestamp_granularities needs response_format verbose_json";
            return Err(ApiError::invalid("timestamp_granularities", message));
        }
        Ok(Form {
            file,
            model: self.model.unwrap_or_default(),
            language: self.language.unwrap_or(Language::AUTO),
            prompt: self.hotwords.or(self.prompt),
            itn: self.itn,
            format,
            stream: self.stream,
            words: self.words,
            // As OpenAI's API has it: segments are told unless words alone are asked for.
            segments: self.segments || !self.words,
        })
    }
}

fn truth(name: &'static str, value: &str) -> Result<bool, ApiError> {
    match value.trim().to_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" | "" => Ok(false),
        other => Err(ApiError::invalid(
            name,
            format!("{other:?} is neither true nor false"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(values: &[(&str, &str)]) -> Result<Form, serde_json::Value> {
        let mut file = FileBytes::new();
        file.push(b"RIFF");
        let mut fields = Fields {
            file: Some(file),
            ..Fields::default()
        };
        for (name, value) in values {
            fields.set(name, value).map_err(|error| error.to_json())?;
        }
        fields.checked().map_err(|error| error.to_json())
    }

    #[test]
    fn a_form_without_wishes_has_those_of_openai() {
        let form = form(&[
            ("model", "whisper-1"),
            ("temperature", "0.3"),
            ("language", ""),
        ])
        .unwrap();
        assert_eq!(
            (&*form.model, form.format, form.stream),
            ("whisper-1", Format::Json, false)
        );
        assert_eq!(
            (form.words, form.segments, form.language),
            (false, true, Language::AUTO)
        );
    }

    #[test]
    fn wishes_are_read() {
        let form = form(&[
            ("response_format", "verbose_json"),
            ("timestamp_granularities[]", "word"),
            ("language", "zh"),
            ("prompt", " 公元 "),
            ("itn", "False"),
        ])
        .unwrap();
        assert_eq!(
            (form.words, form.segments, form.itn),
            (true, false, Some(false))
        );
        assert_eq!(
            (form.language.number, form.prompt.as_deref()),
            (3, Some("公元"))
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let parameter =
            |values: &[(&str, &str)]| form(values).unwrap_err()["error"]["param"].clone();
        assert_eq!(parameter(&[("language", "fr")]), "language");
        assert_eq!(
            parameter(&[("response_format", "diarized_json")]),
            "response_format"
        );
        assert_eq!(parameter(&[("stream", "maybe")]), "stream");
        assert_eq!(
            parameter(&[("stream", "true"), ("response_format", "srt")]),
            "response_format"
        );
        assert_eq!(
            parameter(&[("timestamp_granularities[]", "word")]),
            "timestamp_granularities"
        );
        let fields = Fields {
            file: Some(FileBytes::new()),
            ..Fields::default()
        };
        assert_eq!(
            fields.checked().unwrap_err().to_json()["error"]["message"],
            "the file is empty"
        );
        assert!(Fields::default().checked().is_err());
    }
}
