//! How many tokens an expert takes, and which (vmoe's `get_top_experts_per_item_dispatcher`; paper.md section 3).

use tch::{Kind, Tensor};

/// Images of a group: capacity is counted in each by itself.
pub const GROUP: i64 = 8;

/// Pairs that an expert takes in a group of `tokens`: an even share times `factor`, up to the next multiple of 4.
pub fn capacity(tokens: i64, k: i64, experts: i64, factor: f64) -> i64 {
    // More than all pairs never come.
    let share = ((tokens * k) as f64 * factor / experts as f64).ceil().clamp(1.0, (tokens * k).max(1) as f64) as i64;
    (share + 3) / 4 * 4
}

/// Which pairs find room: `selected` `[T,K]` int64 -> `[T,K]` bool. Groups are `group` tokens, the last may be smaller. All
/// first choices of a group are placed before any second choice, in the tokens' order.
pub fn kept(selected: &Tensor, experts: i64, group: i64, factor: f64) -> Tensor {
    let (tokens, k) = (selected.size()[0], selected.size()[1]);
    let whole = tokens / group * group;
    let room = |first: i64, count: i64, group: i64| {
        let expert = selected.narrow(0, first, count).view([-1, group, k]).transpose(1, 2).reshape([-1, k * group, 1]);
        let numbers = Tensor::arange(experts, (Kind::Int64, selected.device()));
        let hits = expert.eq_tensor(&numbers).to_kind(Kind::Int64); // [groups, K·group, E]
        let place = hits.cumsum(1, Kind::Int64).gather(2, &expert, false); // from 1
        place.le(capacity(group, k, experts, factor)).view([-1, k, group]).transpose(1, 2).reshape([count, k])
    };
    let mut parts = Vec::new();
    if whole > 0 {
        parts.push(room(0, whole, group));
    }
    if whole < tokens {
        parts.push(room(whole, tokens - whole, tokens - whole));
    }
    Tensor::cat(&parts, 0)
}
