//! From the core's errors to JavaScript objects that the TypeScript makes its own errors of.

use memory_map::{Error, Fault, FaultKind};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::platform::errno_name;

/// A contained fault.
#[napi(object, object_from_js = false)]
pub struct NativeFault {
    /// Its number, the same in the error of a call and in the report.
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

/// The result of a call of the core, as a function of the binding returns it: an error is thrown.
pub struct Outcome<T>(pub memory_map::Result<T>);

impl<T: ToNapiValue> ToNapiValue for Outcome<T> {
    unsafe fn to_napi_value(env: sys::napi_env, outcome: Self) -> Result<sys::napi_value> {
        let value = outcome.0.map_err(|error| to_js(&Env::from_raw(env), &error))?;
        // SAFETY: the caller vouches for `env`.
        unsafe { T::to_napi_value(env, value) }
    }
}

/// Makes the error that `lib/errors.ts` completes: with the code and the words of the core, and what
/// JavaScript needs beyond them.
pub fn to_js(env: &Env, error: &Error) -> napi::Error {
    build(env, error).unwrap_or_else(|failure| failure)
}

fn build(env: &Env, error: &Error) -> Result<napi::Error> {
    // JavaScript has ended the wait, and knows; or it has closed the mapping.
    let error = if *error == Error::Cancelled { &Error::Closed } else { error };
    let mut object = env.create_error(napi::Error::from_reason(error.to_string()))?;
    match error {
        Error::Os { errno, syscall, detail } => {
            object.set("nativeCode", errno_name(*errno))?;
            object.set("errno", *errno)?;
            object.set("syscall", *syscall)?;
            object.set("detail", *detail)?;
        }
        Error::Fault(fault) => object.set("fault", NativeFault::from(fault))?,
        _ => {}
    }
    if let Some(code) = error.code() {
        object.set("nativeCode", code)?;
    }
    Ok(napi::Error::from(object.into_unknown(env)?))
}
