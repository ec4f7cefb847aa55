//! What pools and runners tell on a bus.

use std::sync::Arc;

use napi_derive::napi;
use reqbus_core::Teller;
use reqbus_core::told::TellOptions;

use crate::bus::NativeBus;
use crate::failure::OrThrow;

/// A teller.
#[napi]
pub struct NativeTeller {
    teller: Arc<Teller>,
}

impl NativeTeller {
    pub(crate) fn shared(&self) -> Arc<Teller> {
        self.teller.clone()
    }
}

#[napi]
impl NativeTeller {
    /// Tells these kinds on a bus; without `secret_scopes` those of the library are kept secret.
    #[napi(constructor)]
    pub fn new(
        bus: &NativeBus,
        kinds: Vec<String>,
        secret_scopes: Option<Vec<String>>,
    ) -> napi::Result<Self> {
        let default = TellOptions::default();
        let kinds: Vec<_> = kinds.iter().map(String::as_str).collect();
        let secret: Option<Vec<_>> = secret_scopes
            .as_ref()
            .map(|scopes| scopes.iter().map(String::as_str).collect());
        let options = TellOptions {
            kinds: &kinds,
            secret_scopes: secret.as_deref().unwrap_or(default.secret_scopes),
        };
        let teller = Teller::new(bus.get(), &options).or_throw()?;
        Ok(Self { teller })
    }

    /// The kinds that can be told.
    #[napi]
    pub fn kinds() -> Vec<String> {
        Teller::KINDS.map(str::to_owned).to_vec()
    }

    /// Events that could not be published.
    #[napi]
    pub fn failed(&self) -> u64 {
        self.teller.failed()
    }
}
