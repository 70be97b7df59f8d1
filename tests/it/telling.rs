//! from observation to exactly one Slack message.
