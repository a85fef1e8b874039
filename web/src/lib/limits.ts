// Limits that the box's OpenAPI document sets, put in when the page is built (vite.config.ts).
declare const __PASSWORD_MIN__: number;
declare const __NAME_MAX__: number;
declare const __ACCOUNT_NAME_MAX__: number;
declare const __DEVICE_NAME_MAX__: number;
declare const __LEASE_S__: number;
declare const __LONGEST_RANGE_S__: number;
declare const __CUT_OFF_S__: number;

/** Characters that a password must have at least. */
export const PASSWORD_MIN = __PASSWORD_MIN__;

/** Characters that the name of an account may have. */
export const ACCOUNT_NAME_MAX = __ACCOUNT_NAME_MAX__;

/** Characters that the name of a stream password may have. */
export const NAME_MAX = __NAME_MAX__;

/** Characters that stay of a device's name. */
export const DEVICE_NAME_MAX = __DEVICE_NAME_MAX__;

/** Seconds after which the box forgets a viewer that says nothing. */
export const LEASE_S = __LEASE_S__;

/** For how long somebody who is cut off sees nothing, minutes. */
export const CUT_OFF_MINUTES = __CUT_OFF_S__ / 60;

/** The longest range of time that one question may span, seconds. */
export const LONGEST_RANGE_S = __LONGEST_RANGE_S__;
