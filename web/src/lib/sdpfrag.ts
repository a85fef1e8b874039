// Bodies of trickle ICE: application/trickle-ice-sdpfrag (RFC 8840, section 9).

export interface Candidate {
  /** The attribute's value, `candidate:…`, without `a=`. */
  candidate: string;
  /** Identification tag of its media section. */
  mid: string;
}

interface MediaSection {
  line: string;
  mid: string;
}

/** What a fragment repeats of the offer. */
export interface OfferParts {
  ufrag: string;
  pwd: string;
  media: MediaSection[];
}

/** Takes the ICE credentials and the media lines out of an SDP offer; null when it has none. */
export function offerParts(sdp: string): OfferParts | null {
  const ufrag = /^a=ice-ufrag:(\S+)/m.exec(sdp)?.[1];
  const pwd = /^a=ice-pwd:(\S+)/m.exec(sdp)?.[1];
  if (!ufrag || !pwd) return null;
  const media = sdp
    .split(/\r?\n(?=m=)/)
    .slice(1)
    .map((section, index) => ({
      line: /^m=.*/.exec(section)![0].trimEnd(),
      mid: /^a=mid:(\S+)/m.exec(section)?.[1] ?? String(index),
    }));
  return { ufrag, pwd, media };
}

/** The answer as it is after an ICE restart: `answer` with the credentials and candidates of the box's fragment; null where it has none. */
export function restartedAnswer(answer: string, fragment: string): string | null {
  const of = (name: string) => new RegExp(`^a=${name}:\\S+`, 'm').exec(fragment)?.[0];
  const [ufrag, pwd] = [of('ice-ufrag'), of('ice-pwd')];
  if (!ufrag || !pwd) return null;
  const candidates = fragment.split(/\r?\n/).filter((line) => line.startsWith('a=candidate:'));
  const sections = answer
    .split(/\r?\n(?=m=)/)
    .map((section) => section.split(/\r?\n/).filter((line) => line && !line.startsWith('a=candidate:')));
  // With BUNDLE all candidates belong to the first section, before the word that no more will come.
  const first = sections[1];
  const end = first?.indexOf('a=end-of-candidates') ?? -1;
  first?.splice(end < 0 ? first.length : end, 0, ...candidates);
  const renewed = (line: string) =>
    line.startsWith('a=ice-ufrag:') ? ufrag : line.startsWith('a=ice-pwd:') ? pwd : line;
  return sections.flat().map(renewed).join('\r\n') + '\r\n';
}

/** The fragment that carries `candidates`; `last` says that no more will come. */
export function sdpFragment(offer: OfferParts, candidates: Candidate[], last: boolean): string {
  const lines = [`a=ice-ufrag:${offer.ufrag}`, `a=ice-pwd:${offer.pwd}`];
  for (const section of offer.media) {
    const own = candidates.filter((c) => c.mid === section.mid);
    // With BUNDLE all candidates belong to the first section, which also carries the end.
    const isFirst = section === offer.media[0];
    if (own.length === 0 && !(last && isFirst)) continue;
    lines.push(section.line, `a=mid:${section.mid}`);
    lines.push(...own.map((c) => `a=${c.candidate}`));
    if (last && isFirst) lines.push('a=end-of-candidates');
  }
  return lines.join('\r\n') + '\r\n';
}
