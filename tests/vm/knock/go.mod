module knock

go 1.21
