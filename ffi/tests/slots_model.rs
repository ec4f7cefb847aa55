//! Slots through the C ABI against the model that core is held to: the same histories, the same model, and what must
//! hold on a bad line. Only what C sees is compared: statuses, refusals, loads, counters and lists.

#[path = "slots_model/faults.rs"]
mod faults;
#[path = "slots_model/handles.rs"]
mod handles;
#[path = "slots_model/memory.rs"]
mod memory;
#[allow(
    dead_code,
    reason = "joins, leaks, waits on top and a closed pool are not driven through C"
)]
#[path = "../../core/tests/slots_model/op.rs"]
mod op;
#[path = "slots_model/pool.rs"]
mod pool;
#[allow(
    dead_code,
    reason = "joins, leaks, waits on top and a closed pool are not driven through C"
)]
#[path = "../../core/tests/slots_model/reference.rs"]
mod reference;

use proptest::prelude::ProptestConfig;

/// So many histories; `REQBUS_STRESS=n` multiplies them.
fn histories(cases: u32) -> ProptestConfig {
    let asked = std::env::var("REQBUS_STRESS").ok();
    let times = asked.and_then(|n| n.parse::<u32>().ok()).unwrap_or(1);
    ProptestConfig {
        cases: cases * times.max(1),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}
