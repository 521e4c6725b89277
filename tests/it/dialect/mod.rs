//! Whole dialects: the shipped profiles, conversations with each device, any order of events.

mod bounds;
mod conversation;
mod disorder;
mod goldens;
mod pixel_judges;
mod profiles;
