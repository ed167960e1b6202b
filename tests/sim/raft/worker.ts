/**
 * Runs simulations beside others: gets a seed, answers with what came of it.
 *
 * @module
 */
import { realProgram } from "./program.ts";
import { simulate } from "./simulation.ts";

const program = await realProgram();
addEventListener("message", (event) => {
  if (event instanceof MessageEvent) postMessage(simulate(program, Number(event.data)));
});
postMessage("ready");

// The compiler takes this for a window, whose `postMessage` wants to know where to.
declare function postMessage(message: unknown): void;
