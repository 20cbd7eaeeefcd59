/** The context stores of a Node-RED, as `contextStorage` of its settings.js has them. */

/** Whether a context store forgets when Node-RED ends. */
export function isMemory(stores: unknown, store: unknown): boolean {
  const known = new Map<unknown, unknown>(
    typeof stores === "object" && stores !== null ? Object.entries(stores) : [],
  );
  if (known.size === 0) return true;
  const [first] = known.keys();
  // As Node-RED has it: a name that is not known is the one by default, which may be the name of another.
  const byDefault = known.get(known.has("default") ? "default" : first);
  const found = known.get(store) ?? byDefault;
  const config = typeof found === "string" ? known.get(found) : found;
  return (
    typeof config === "object" &&
    config !== null &&
    "module" in config &&
    config.module === "memory"
  );
}
