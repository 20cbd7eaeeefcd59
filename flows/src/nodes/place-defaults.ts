/** How the settings begin that nodes share which have a place in what an agent tells. */

export const placeDefaults = { name: "", agent: "", from: "now", store: "" } as const;
