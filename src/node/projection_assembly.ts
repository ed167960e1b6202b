import { concatBytes, decodeUtf8, type Frame } from "../base/mod.ts";
import type { ManagerAddress, Projection } from "../state/mod.ts";
import { NodeError } from "./node_error.ts";

/** A projection as it came over a stream. */
export interface ReceivedProjection {
  readonly projection: Projection;
  /** How new it is: that of the state from which it was made. */
  readonly revision: number;
  /** All managers. */
  readonly managers: readonly ManagerAddress[];
}

/** Puts the parts of a projection together. */
export class ProjectionAssembly {
  #parts: Uint8Array[] = [];
  #digest: unknown = null;

  /**
   * Takes the next part; gives the projection when that was the last one.
   *
   * @throws {NodeError} when the parts cannot be of one projection, or it cannot be read
   */
  add(frame: Frame): ReceivedProjection | null {
    const { digest, part, parts, revision, managers } = frame.header;
    if (part === 0) this.#parts = [];
    if (part !== this.#parts.length || (part !== 0 && digest !== this.#digest)) {
      throw new NodeError("unavailable", "The leader sent the parts of a projection out of order");
    }
    this.#digest = digest;
    this.#parts.push(frame.body);
    if (this.#parts.length !== parts) return null;
    const body = concatBytes(...this.#parts);
    this.#parts = [];
    const projection: unknown = JSON.parse(decodeUtf8(body));
    if (
      !isProjection(projection, digest) || typeof revision !== "number" || !isManagerList(managers)
    ) {
      throw new NodeError(
        "unavailable",
        "The leader sent a projection that this agent cannot read: upgrade this agent",
      );
    }
    // A manager that knows nothing of generations leads a cluster that was never recovered.
    const { generation } = projection as Partial<Projection>;
    return { projection: { ...projection, generation: generation ?? 0 }, revision, managers };
  }
}

/**
 * The leader is a manager of this cluster, checked when the connection began, so its projection is
 * believed; what is checked here is that both speak the same version.
 */
function isProjection(value: unknown, digest: unknown): value is Projection {
  if (value === null || typeof value !== "object") return false;
  const projection = value as Partial<Record<keyof Projection, unknown>>;
  return projection.v === 1 && projection.digest === digest && Array.isArray(projection.networks);
}

function isManagerList(value: unknown): value is readonly ManagerAddress[] {
  return Array.isArray(value) &&
    value.every((item: unknown) =>
      item !== null && typeof item === "object" && "id" in item && "address" in item &&
      typeof item.id === "string" && typeof item.address === "string"
    );
}
