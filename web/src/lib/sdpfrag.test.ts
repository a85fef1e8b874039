// Trickle ICE fragments against RFC 8840.
import { describe, expect, it } from 'vitest';
import { offerParts, sdpFragment } from './sdpfrag';

const offer = [
  'v=0',
  'o=- 1 2 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'a=group:BUNDLE 0 1',
  'm=video 9 UDP/TLS/RTP/SAVPF 96 97',
  'a=ice-ufrag:EsAw',
  'a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1',
  'a=mid:0',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111',
  'a=ice-ufrag:EsAw',
  'a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1',
  'a=mid:1',
  '',
].join('\r\n');

describe('offerParts', () => {
  it('finds credentials and media lines', () => {
    expect(offerParts(offer)).toEqual({
      ufrag: 'EsAw',
      pwd: 'P2uYro0UCOQ4zxjKXaWCBui1',
      media: [
        { line: 'm=video 9 UDP/TLS/RTP/SAVPF 96 97', mid: '0' },
        { line: 'm=audio 9 UDP/TLS/RTP/SAVPF 111', mid: '1' },
      ],
    });
  });

  it('is null without credentials', () => {
    expect(offerParts('v=0\r\n')).toBeNull();
  });
});

describe('sdpFragment', () => {
  const parts = offerParts(offer)!;
  const host = { candidate: 'candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host', mid: '0' };

  it('puts candidates below their media line', () => {
    expect(sdpFragment(parts, [host], false).split('\r\n')).toEqual([
      'a=ice-ufrag:EsAw',
      'a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1',
      'm=video 9 UDP/TLS/RTP/SAVPF 96 97',
      'a=mid:0',
      'a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host',
      '',
    ]);
  });

  it('sends the end once, even without candidates', () => {
    const lines = sdpFragment(parts, [], true).trim().split('\r\n');
    expect(lines.slice(2)).toEqual(['m=video 9 UDP/TLS/RTP/SAVPF 96 97', 'a=mid:0', 'a=end-of-candidates']);
  });
});
