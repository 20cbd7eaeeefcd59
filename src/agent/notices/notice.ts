/** One sentence for a person; its code names its kind, for a journal that says it once. */
export type Notice = { readonly code: string; readonly message: string };
