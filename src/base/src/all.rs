//! `ALL` of enums without fields: a list that cannot forget a variant.

/// Gives an enum its `ALL`; a variant that the list lacks does not compile.
#[macro_export]
macro_rules! all_of {
    ($type:ident { $($variant:ident),+ $(,)? }) => {
        impl $type {
            /// Every one, in the order of the declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),+];
        }
        const _: fn($type) = |one| match one {
            $($type::$variant)|+ => (),
        };
    };
}
