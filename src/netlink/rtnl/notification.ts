import { AF_BRIDGE, AF_UNSPEC } from "../constants.ts";
import { decodeMessages, type Message } from "../message.ts";
import { decodeAddress, type InterfaceAddress } from "./address.ts";
import * as c from "./constants.ts";
import { decodeFdbEntry, type FdbEntry } from "./fdb.ts";
import { decodeIfinfomsg } from "./ifinfomsg.ts";
import { decodeLink, type Link } from "./link_message.ts";
import { decodeNeighbour, type Neighbour } from "./neighbour.ts";
import { decodeNamespaceId } from "./nsid.ts";
import { decodeRoute, type Route } from "./route_message.ts";

/** Whether the object is there now, new or changed, or is gone. */
export type Change = "set" | "removed";

/**
 * Something that happened in a namespace.
 *
 * `bridge-port` is not `link`, though the kernel sends both as `RTM_NEWLINK` and `RTM_DELLINK`: a
 * port that left its bridge is not a link that was deleted.
 */
export type Notification =
  | { readonly kind: "link"; readonly change: Change; readonly link: Link }
  | { readonly kind: "bridge-port"; readonly change: Change; readonly link: Link }
  | { readonly kind: "address"; readonly change: Change; readonly address: InterfaceAddress }
  | { readonly kind: "route"; readonly change: Change; readonly route: Route }
  | { readonly kind: "neighbour"; readonly change: Change; readonly neighbour: Neighbour }
  | { readonly kind: "fdb"; readonly change: Change; readonly entry: FdbEntry }
  | { readonly kind: "namespace-id"; readonly change: Change; readonly id: number };

/**
 * Decodes one datagram of the groups `RTNLGRP_LINK`, `RTNLGRP_NEIGH`, `RTNLGRP_IPV4_IFADDR`,
 * `RTNLGRP_IPV6_IFADDR`, `RTNLGRP_IPV4_ROUTE`, `RTNLGRP_IPV6_ROUTE` and `RTNLGRP_NSID`. Messages of
 * other kinds are left out.
 *
 * @throws {DecodeError}
 */
export function decodeNotifications(datagram: Uint8Array): Notification[] {
  return decodeMessages(datagram).flatMap((message) => decodeNotification(message) ?? []);
}

function decodeNotification(message: Message): Notification | null {
  switch (message.type) {
    case c.RTM_NEWLINK:
      return decodeLinkNotification("set", message);
    case c.RTM_DELLINK:
      return decodeLinkNotification("removed", message);
    case c.RTM_NEWADDR:
      return decodeAddressNotification("set", message);
    case c.RTM_DELADDR:
      return decodeAddressNotification("removed", message);
    case c.RTM_NEWROUTE:
      return decodeRouteNotification("set", message);
    case c.RTM_DELROUTE:
      return decodeRouteNotification("removed", message);
    case c.RTM_NEWNEIGH:
      return decodeNeighbourNotification("set", message);
    case c.RTM_DELNEIGH:
      return decodeNeighbourNotification("removed", message);
    case c.RTM_NEWNSID:
      return decodeNamespaceNotification("set", message);
    case c.RTM_DELNSID:
      return decodeNamespaceNotification("removed", message);
    default:
      return null;
  }
}

function decodeLinkNotification(change: Change, message: Message): Notification | null {
  switch (decodeIfinfomsg(message.payload).family) {
    case AF_UNSPEC:
      return { kind: "link", change, link: decodeLink(message) };
    case AF_BRIDGE:
      return { kind: "bridge-port", change, link: decodeLink(message) };
    default:
      return null;
  }
}

function decodeAddressNotification(change: Change, message: Message): Notification | null {
  const address = decodeAddress(message);
  return address && { kind: "address", change, address };
}

function decodeRouteNotification(change: Change, message: Message): Notification | null {
  const route = decodeRoute(message);
  return route && { kind: "route", change, route };
}

function decodeNeighbourNotification(change: Change, message: Message): Notification | null {
  const entry = decodeFdbEntry(message);
  if (entry !== null) return { kind: "fdb", change, entry };
  const neighbour = decodeNeighbour(message);
  return neighbour && { kind: "neighbour", change, neighbour };
}

function decodeNamespaceNotification(change: Change, message: Message): Notification | null {
  const id = decodeNamespaceId(message);
  return id === null ? null : { kind: "namespace-id", change, id };
}
