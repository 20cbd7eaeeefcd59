/** The version of this build; equals package.json (a test holds them together). */
export const version = "0.1.0";

/** Put there by tools/package, in the packed file alone. */
declare const WEIR_COMMIT: string | undefined;

/** The commit that a packed file was made of, with `+` behind it where the tree had changes besides. */
export const commit: string | undefined =
  typeof WEIR_COMMIT === "undefined" ? undefined : WEIR_COMMIT;
