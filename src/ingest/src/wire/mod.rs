//! What goes over the wire beside RTP: RTSP messages, packets between them, SDP, sign-in.
