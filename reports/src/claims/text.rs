//! Judged claims as Markdown. Judges nothing.

use super::JudgedClaims;
use crate::error::Result;
use crate::markup::fill;

pub(super) fn markdown(claims: &JudgedClaims) -> Result<String> {
    fill("claims.md", claims)
}
