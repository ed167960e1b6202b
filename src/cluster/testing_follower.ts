import type { Projection } from "../state/mod.ts";
import type { KeyMember } from "./testing_members.ts";
import type { TestPlane } from "./testing_plane.ts";
import { TestReader } from "./testing_reader.ts";

/** A node that reads and acknowledges. */
export class Follower {
  readonly member: KeyMember;
  readonly #stream: TestReader;
  newest: Projection | null = null;

  private constructor(member: KeyMember, stream: TestReader) {
    this.member = member;
    this.#stream = stream;
  }

  static async open(cluster: TestPlane, member: KeyMember): Promise<Follower> {
    return new Follower(member, await TestReader.open(cluster, member.id));
  }

  /** The next projection; the report that acknowledges it says nothing new of SAs. */
  async next(): Promise<Projection> {
    const projection = await this.#stream.projection();
    this.newest = projection;
    await this.member.report(null, { received: projection.digest });
    return projection;
  }

  /** The first projection that is so. */
  async until(condition: (projection: Projection) => boolean): Promise<Projection> {
    for (;;) {
      const projection = await this.next();
      if (condition(projection)) return projection;
    }
  }

  isQuiet(): Promise<boolean> {
    return this.#stream.isQuiet();
  }

  installed(): unknown {
    return this.newest?.installed.map(({ nodeId, epochs }) => [nodeId, epochs]);
  }
}
