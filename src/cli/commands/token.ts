import { object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { map, optional } from "@optique/core/modifiers";
import { command, option } from "@optique/core/primitives";
import { choice, integer } from "@optique/core/valueparser";
import { AgentClient } from "../client.ts";
import { EXIT_CODES } from "../exit.ts";
import { joinCommand, noteToken } from "../join_command.ts";
import { type Action, client, duration, examples } from "../options.ts";
import { print } from "../print.ts";
import { removeEach, severalReferences } from "../remove.ts";
import { formatTable } from "../table.ts";

const create = command(
  "create",
  map(
    object({
      ...client,
      role: optional(option("--role", choice(["worker", "manager"]), {
        description: message`What those become who join with it; worker by default.`,
      })),
      lifetimeMs: optional(option("--lifetime", duration, {
        description: message`How long it can be used; 24h by default.`,
      })),
      uses: optional(option("--uses", integer({ metavar: "N", min: 1 }), {
        description: message`How many hosts may join with it; 1 by default.`,
      })),
    }),
    ({ runDir, format, ...request }): Action => async (ports) => {
      const agent = new AgentClient(runDir);
      const { leaderAddress, controlAddress } = await agent.status();
      const created = await agent.createToken(request);
      const command = joinCommand(leaderAddress ?? controlAddress, created.token);
      print(ports, format, { ...created, joinCommand: command }, () => `${command}\n`);
      noteToken(ports, created);
      return EXIT_CODES.ok;
    },
  ),
  {
    brief: message`Make a token, and print the command that joins with it.`,
    ...examples("agent token create", "agent token create --uses 20 --lifetime 1h"),
  },
);

const ls = command(
  "ls",
  map(object(client), ({ runDir, format }): Action => async (ports) => {
    const tokens = await new AgentClient(runDir).tokens();
    print(ports, format, { items: tokens, next: null }, () =>
      formatTable(
        ["ID", "ROLE", "USES LEFT", "EXPIRES"],
        tokens.map(({ id, role, usesLeft, expiresAt }) => [id, role, String(usesLeft), expiresAt]),
      ));
    return EXIT_CODES.ok;
  }),
  { brief: message`List the tokens, without their secrets.`, ...examples("agent token ls") },
);

const rm = command(
  "rm",
  map(
    object({ ...client, tokens: severalReferences("TOKEN", message`Ids.`) }),
    ({ runDir, format, tokens }): Action => (ports) => {
      const agent = new AgentClient(runDir);
      return removeEach(ports, format, tokens, (token) => agent.deleteToken(token));
    },
  ),
  {
    brief: message`Revoke tokens: nobody joins with them any more.`,
    ...examples("agent token rm 4rv3kz2mpoc5h7aq6utn2wbxye"),
  },
);

/** `agent token …` */
export const token = command("token", or(create, ls, rm), {
  brief: message`Make, list and revoke join tokens.`,
  ...examples("agent token create"),
});
