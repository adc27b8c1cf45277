//! From the core's errors to JavaScript objects that the TypeScript makes its own errors of.

use memory_map::{Error, Fault, FaultKind};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::platform::errno_name;

/// A contained fault.
#[napi(object, object_from_js = false)]
pub struct NativeFault {
    /// What it is known by, in the error of a call and in the report.
    pub id: f64,
    #[napi(ts_type = "'beyond-end' | 'protection' | 'io' | 'no-space' | 'closed'")]
    pub kind: &'static str,
    pub offset: f64,
    pub length: f64,
    pub contained: bool,
}

impl From<&Fault> for NativeFault {
    fn from(fault: &Fault) -> Self {
        Self {
            id: fault.id as f64,
            kind: match fault.kind {
                FaultKind::BeyondEnd => "beyond-end",
                FaultKind::Protection => "protection",
                FaultKind::Io => "io",
                FaultKind::NoSpace => "no-space",
                FaultKind::Closed => "closed",
            },
            offset: fault.offset as f64,
            length: fault.length as f64,
            contained: fault.contained,
        }
    }
}

/// Makes the error that `lib/errors.ts` translates: `kind` says which, the rest are its facts.
pub fn to_js(env: &Env, error: &Error) -> napi::Error {
    build(env, error).unwrap_or_else(|failure| failure)
}

fn build(env: &Env, error: &Error) -> Result<napi::Error> {
    let mut object = env.create_error(napi::Error::from_reason(error.to_string()))?;
    let kind = match error {
        Error::Os { errno, syscall, detail } => {
            object.set("errno", *errno)?;
            object.set("name", errno_name(*errno))?;
            object.set("syscall", *syscall)?;
            object.set("detail", *detail)?;
            "os"
        }
        Error::BeyondEnd { end, size } => {
            object.set("end", *end as f64)?;
            object.set("size", *size as f64)?;
            "beyond-end"
        }
        Error::TooLarge { .. } => "too-large",
        Error::OutOfRange { name, requirement } => {
            object.set("argument", *name)?;
            object.set("detail", *requirement)?;
            "out-of-range"
        }
        Error::Missing { name, reason } => {
            object.set("argument", *name)?;
            object.set("detail", *reason)?;
            "missing"
        }
        Error::Unsupported(what) => {
            object.set("detail", *what)?;
            "unsupported"
        }
        Error::Closed | Error::Cancelled => "closed",
        Error::Deadlock => "deadlock",
        Error::NotOwner => "not-owner",
        Error::Busy(_) => "busy",
        Error::Invalid(_) => "invalid",
        Error::NotWritable => "not-writable",
        Error::NotShared => "not-shared",
        Error::Fault(fault) => {
            object.set("fault", NativeFault::from(fault))?;
            "fault"
        }
    };
    object.set("kind", kind)?;
    Ok(napi::Error::from(object.into_unknown(env)?))
}
