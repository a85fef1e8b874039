//! From RTP and RTCP packets to access units and sound with times: machines without a clock or a socket.
