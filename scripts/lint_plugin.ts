/**
 * Lint rules of this project, beside Deno's own:
 *
 * - `agent/pure`: pure folders take time, randomness and the machine as arguments;
 * - `agent/peer-verdict`: nobody reads what the TLS runtime thinks of a peer;
 * - `agent/no-fetch`: nothing goes out by `fetch`.
 *
 * @module
 */

/** The folders that must give the same result for the same arguments, whenever and wherever. */
const pure = /\/src\/(?:(?:base|raft|state|esp|netlink)\/|overlay\/plan[^/]*(?:\.ts$|\/))/;
const product = /\/src\//;
const test = /\/(?:test(?:ing)?_\w+|\w+_test)\.ts$/;

const timers = [
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "requestAnimationFrame",
];
const banned: Readonly<Record<string, string>> = {
  "Date.now": "take the time from a Clock",
  "performance.now": "take the time from a Clock",
  "process.hrtime": "take the time from a Clock",
  "Temporal.Now": "take the time from a Clock",
  "Math.random": "take random numbers from a Random",
  "crypto.getRandomValues": "take random bytes from a Random",
  "crypto.randomUUID": "take random bytes from a Random",
  "crypto.randomBytes": "take random bytes from a Random",
  "crypto.randomInt": "take random numbers from a Random",
};
const randomImports = /^random(?:Bytes|Int|UUID|Fill|FillSync)$/;
const impureModules =
  /^node:(?:timers(?:\/promises)?|fs(?:\/promises)?|os|process|child_process|perf_hooks)$/;

/** Is this identifier only the name of a member or key, not a reference to something global? */
function isName(node: Deno.lint.Identifier): boolean {
  const { parent } = node;
  if (parent.type === "MemberExpression") return parent.property === node && !parent.computed;
  if (parent.type === "Property") {
    return parent.key === node && !parent.computed && !parent.shorthand;
  }
  return parent.type === "TSPropertySignature" || parent.type === "TSMethodSignature" ||
    parent.type === "MethodDefinition" || parent.type === "PropertyDefinition";
}

/** `a.b` as text, with `globalThis.` taken off; undefined for anything longer or computed. */
function pathOf(node: Deno.lint.MemberExpression): string | undefined {
  if (node.computed || node.property.type !== "Identifier") return undefined;
  const { object } = node;
  if (object.type === "Identifier") {
    return object.name === "globalThis"
      ? node.property.name
      : `${object.name}.${node.property.name}`;
  }
  const before = object.type === "MemberExpression" ? pathOf(object) : undefined;
  return before === undefined || before.includes(".")
    ? undefined
    : `${before}.${node.property.name}`;
}

const pureRule: Deno.lint.Rule = {
  create(context) {
    const file = context.filename;
    if (!pure.test(file) || test.test(file)) return {};
    const report = (node: Deno.lint.Node, what: string, instead: string) =>
      context.report({ node, message: `${what} in a pure folder: ${instead}` });
    return {
      Identifier(node) {
        if (isName(node)) return;
        if (timers.includes(node.name)) {
          report(node, node.name, "take a Clock and use its schedule");
        }
        if (node.name === "Deno") {
          report(node, "Deno", "declare the interface that is needed, as an argument");
        }
      },
      MemberExpression(node) {
        const path = pathOf(node) ?? "";
        const instead = banned[path];
        if (instead !== undefined) report(node, path, instead);
        // With globalThis before it, it is a member and no bare identifier.
        if (timers.includes(path)) report(node, path, "take a Clock and use its schedule");
        if (path === "Deno") {
          report(node, path, "declare the interface that is needed, as an argument");
        }
      },
      NewExpression(node) {
        if (node.callee.type !== "Identifier" || node.callee.name !== "Date") return;
        if (node.arguments.length === 0) report(node, "new Date()", "take the time from a Clock");
      },
      ImportDeclaration(node) {
        const from = node.source.value;
        if (impureModules.test(from)) {
          report(node, from, "declare the interface that is needed, as an argument");
        }
        for (const specifier of node.specifiers) {
          if (specifier.type !== "ImportSpecifier" || specifier.imported.type !== "Identifier") {
            continue;
          }
          // Of node:net the classifiers of address texts are pure; sockets are not.
          if (from === "node:net" && !specifier.imported.name.startsWith("isIP")) {
            report(specifier, from, "declare the interface that is needed, as an argument");
          }
          if (randomImports.test(specifier.imported.name)) {
            report(specifier, specifier.imported.name, "take random bytes from a Random");
          }
        }
      },
    };
  },
};

const verdict = /^(?:authorized|authorizationError)$/;

const peerVerdictRule: Deno.lint.Rule = {
  create(context) {
    if (!product.test(context.filename) || test.test(context.filename)) return {};
    const message =
      "the runtime's verdict on a peer is wrong on resumed sessions and for forged chains: " +
      "only our own check of the certificate decides";
    return {
      MemberExpression(node) {
        const { property } = node;
        const name = property.type === "Identifier" && !node.computed
          ? property.name
          : property.type === "Literal"
          ? property.value
          : "";
        if (verdict.test(`${name}`)) context.report({ node, message });
      },
      ObjectPattern(node) {
        for (const property of node.properties) {
          if (property.type !== "Property" || property.key.type !== "Identifier") continue;
          if (verdict.test(property.key.name)) context.report({ node: property, message });
        }
      },
    };
  },
};

const noFetchRule: Deno.lint.Rule = {
  create(context) {
    if (!product.test(context.filename) || test.test(context.filename)) return {};
    const message = "fetch adds to the default certificate roots and cannot check a peer's role: " +
      "use the dialer of src/tls";
    return {
      CallExpression({ callee }) {
        const isGlobal = callee.type === "Identifier"
          ? callee.name === "fetch"
          : callee.type === "MemberExpression" && pathOf(callee) === "fetch";
        if (isGlobal) context.report({ node: callee, message });
      },
    };
  },
};

const plugin: Deno.lint.Plugin = {
  name: "agent",
  rules: { "pure": pureRule, "peer-verdict": peerVerdictRule, "no-fetch": noFetchRule },
};

export default plugin;
