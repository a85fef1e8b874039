# `perch check` in a shell uses the same plugins as the service.
export GST_REGISTRY=/usr/share/perch/gst-registry.bin GST_REGISTRY_UPDATE=no
