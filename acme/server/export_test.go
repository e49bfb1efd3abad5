package server_test

import "acmebridge/acme/server"

type serverConfig = server.Config
