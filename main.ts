import { runAgent } from "./src/agent.ts";

await runAgent(Deno.args);
