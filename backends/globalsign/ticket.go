package globalsign

import (
	"acmebridge/backends"
	"acmebridge/internal/caclient"
)

// ticketForm is the first field of a ticket, whose id is that of a certificate.
const ticketForm = "g1"

func readTicket(text backends.Ticket) (caclient.Ticket, error) {
	return caclient.ReadTicket("globalsign", ticketForm, text, isSerial)
}

func ticketFor(id string, r backends.Request) backends.Ticket {
	return caclient.TicketFor(id, r).Text(ticketForm)
}
