import settings from "../../deno.json" with { type: "json" };

/** Of this program. */
export const AGENT_VERSION: string = settings.version;
