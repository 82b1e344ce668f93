module vsock-connect

go 1.21
